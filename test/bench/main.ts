import { spawnSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { cpus, totalmem } from 'node:os'
import { join } from 'node:path'
import { ROOT } from '../root.js'
import { nginxProblem } from '../nginx/harness.js'
import { measureAlone } from './alone.js'
import { measureCrowd, STEADY_PER_SECOND } from './crowd.js'
import { measureEdge } from './edge.js'
import { measureFlood } from './flood.js'
import { measureOpening } from './opening.js'

/*
 * `npm run bench`: what a request costs, in one run and in interleaved rounds; writes test/bench/results.md.
 * `npm run bench -- --quick`: the same in little, to see that it works; writes nothing.
 */

const isQuick = process.argv.includes('--quick')
const rounds = isQuick ? 1 : 5
const seconds = isQuick ? 1 : 2

const problem =
  nginxProblem() ??
  (spawnSync('wrk', ['-v']).error && 'wrk is not on PATH: install it (Debian: apt-get install -y wrk).')
if (problem) {
  process.stderr.write(`${problem}\n`)
  process.exit(1)
}

const lines: string[] = []
function print(...text: string[]): void {
  lines.push(...text)
  process.stdout.write(`${text.join('\n')}\n`)
}
const row = (...cells: (string | number)[]) => print(`| ${cells.join(' | ')} |`)
const whole = (value: number) => Math.round(value).toLocaleString('en')
const fine = (value: number) => value.toFixed(2)

print('# What a request costs', '')
const { model } = cpus()[0]!
const gigabytes = Math.round(totalmem() / 2 ** 30)
print(
  `${new Date().toISOString().slice(0, 10)}; ${cpus().length} × ${model.trim()}, ${gigabytes} GB; ` +
    `Node ${process.versions.node}, ${versionOf('nginx', '-v')}, ${versionOf('wrk', '-v')}. ` +
    `Load and servers share these processors. Medians of ${rounds} interleaved rounds of ${seconds} s; ` +
    `ratios are medians of each round's own.`,
)

print('', '## A protected file, through nginx (one worker, 32 connections)', '')
row('', 'object', 'requests/s', 'p50 ms', 'p99 ms', 'to unprotected', 'to always-200')
row('---', '---', '--:', '--:', '--:', '--:', '--:')
for (const { title, object, load, ratioTo } of await measureEdge(rounds, seconds)) {
  const { requestsPerSecond, p50, p99 } = load
  row(
    title,
    object,
    whole(requestsPerSecond),
    fine(p50),
    fine(p99),
    fine(ratioTo('open')),
    fine(ratioTo('yes')),
  )
}

print(
  '',
  'Unprotected: nginx serves the file to everybody, with the same access log. Always-200: the obvious way, which ' +
    'asks for each request and knows nobody. Edge cache warm: nginx answers from its memory. Edge cache off: the ' +
    'service answers each request from its own. secure_link checks a signature in nginx, and no backend. At 1 MB the ' +
    'bytes cost so much that the ways differ by less than the rounds do.',
)
print('', '## The service alone', '')
print('Requests put to the service itself, without nginx.', '')
row('', 'measured')
row('---', '---')
const alone = await measureAlone(rounds, seconds)
row('a remembered session, requests/s', whole(alone.service))
row('Hono with the same reply and nothing else, requests/s', whole(alone.bareHono))
row('the one to the other', fine(alone.ratio))
const opening = await measureOpening(rounds, seconds)
row('500 new viewers a second, added to a backend of 20 ms: p50', `${fine(opening.addedP50)} ms`)
row('the same, p99', `${fine(opening.addedP99)} ms`)

print('', '## Many sessions', '')
print(
  `Any of the sessions may ask next; one request in a hundred is a new viewer's. What a viewer notices is the time at ` +
    `a steady ${whole(STEADY_PER_SECOND)} requests a second, each sent when it is due. A load that saturates the ` +
    `service (16 connections, each asking again at once) says what is left: its p99 is that of a request which ` +
    `waits for a collection of garbage, longer with more memory, as V8 looks at each 256 KB of it every time.`,
  '',
)
row(
  'sessions',
  'bytes of memory each',
  'p99 ms',
  'to that of the first row',
  'longest stall ms',
  'saturated: requests/s',
  'p99 ms',
)
row('--:', '--:', '--:', '--:', '--:', '--:', '--:')
for (const crowd of await measureCrowd(
  isQuick ? [1_000, 50_000] : [1_000, 100_000, 1_000_000],
  rounds,
  seconds,
)) {
  const { sessions, bytesEach, p99, p99Ratio, worstStall, saturated } = crowd
  row(
    whole(sessions),
    whole(bytesEach),
    fine(p99),
    fine(p99Ratio),
    fine(worstStall),
    whole(saturated.requestsPerSecond),
    fine(saturated.p99),
  )
}

print('', '## A flood of bad tokens while 1,000 viewers watch, through nginx', '')
print('Each viewer asks once a second. The flood takes all that one nginx worker and the service can do.', '')
row('', 'measured')
row('---', '---')
const flood = await measureFlood(isQuick ? 20_000 : 500_000, isQuick ? 2 : 10)
row('bad tokens, all different', `${whole(flood.badTokens)}, ${whole(flood.floodPerSecond)} a second`)
row('requests of viewers', whole(flood.requestsWatched))
row('of them refused', flood.viewersRefused)
row('their p99 before the flood, and in it', `${fine(flood.p99Before)} ms, ${fine(flood.p99)} ms`)
row("the service's memory before, and at most", `${whole(flood.rssBefore)} MB, ${whole(flood.rssPeak)} MB`)

if (!isQuick) await writeFile(join(ROOT, 'test/bench/results.md'), `${lines.join('\n')}\n`)

/** The first line of what a program says about itself: nginx says it on one stream, wrk on the other. */
function versionOf(program: string, option: string): string {
  const { stdout, stderr } = spawnSync(program, [option], { encoding: 'utf8' })
  const [line = ''] = `${stdout}${stderr}`.replace('nginx version: nginx/', 'nginx ').split('\n')
  return line.replace(/ \[.*| Copyright.*/, '').replace(/^wrk debian\//, 'wrk ')
}
