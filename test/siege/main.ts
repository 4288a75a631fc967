import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { nginxProblem } from '../nginx/harness.js'
import { ROOT } from '../root.js'
import type { Order, Outcome } from './siege.js'
import { HEAD, lineOf, newcomersOf, problemsOf } from './table.js'
import { WAYS, type Way } from './ways.js'

/*
 * `npm run siege`: each way in which viewers without a good token have ever come in, or might, from 1, 2, 16 and 64
 * addresses and with both settings of WHEN_BACKEND_DOWN; writes the table into test/siege/results.md, whose text says what
 * is in it. `-- --quick`: each way once, and the same with a hole made on purpose, which must be found. `-- --only TEXT`:
 * those ways alone whose name has it. Ends with 1 where a number is wrong.
 */

const { values } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, only: { type: 'string', default: '' } },
})

/** Two sieges at a time: a machine with two cores has no more to give. */
const AT_ONCE = 2
const SECONDS = { siege: 15, short: 8, hole: 4 }
const ADDRESSES = [1, 2, 16, 64]

const problem = nginxProblem() ?? (spawnSync('php', ['-v']).error && 'php is not on PATH: install php-cli.')
if (problem) {
  process.stderr.write(`${problem}\n`)
  process.exit(1)
}

const isRoot = process.getuid?.() === 0
const chosen = [...WAYS.keys()].filter(
  (at) => WAYS[at]!.name.includes(values.only) && (!WAYS[at]!.isPortless || isRoot),
)
function ordersOf(at: number): Order[] {
  const order = { way: at, addresses: 2, door: 'allow', seconds: SECONDS.siege, isHoled: false } as const
  if (!values.quick)
    return (['allow', 'deny'] as const).flatMap((door) =>
      ADDRESSES.map((addresses) => ({ ...order, addresses, door })),
    )
  // Only some last until a subscription that has ended is asked about.
  const seconds = at % 5 === 0 ? SECONDS.siege : SECONDS.short
  return [
    { ...order, addresses: ADDRESSES[at % ADDRESSES.length]!, seconds },
    { ...order, seconds: SECONDS.hole, isHoled: true },
  ]
}

const lines: string[] = []
function print(line: string): void {
  lines.push(line)
  process.stdout.write(`${line}\n`)
}
const problems: string[] = []
const outcomes: [Way, Outcome][] = []
for (const line of HEAD) print(line)

async function besiege(order: Order): Promise<void> {
  const way = WAYS[order.way]!
  const [program, ...before] = way.isPortless ? ['unshare', '--net', process.execPath] : [process.execPath]
  const args = [...before, join(ROOT, 'dist/test/siege/siege.js'), JSON.stringify(order)]
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  child.stdout.on('data', (more: Buffer) => (text += more.toString()))
  const [code] = (await once(child, 'close')) as [number]
  if (code !== 0) {
    problems.push(`${way.name}: the siege ended with ${code}`)
    return
  }
  const outcome = JSON.parse(text) as Outcome
  if (order.isHoled) {
    if (outcome.served === 0) problems.push(`${way.name}: the hole was not found`)
    return
  }
  outcomes.push([way, outcome])
  print(lineOf(way, order, outcome))
  problems.push(...problemsOf(way, order, outcome))
}

// In their order, as far as two at a time are.
const rest = chosen.flatMap(ordersOf)
await Promise.all(
  Array.from({ length: AT_ONCE }, async () => {
    for (let order = rest.shift(); order; order = rest.shift()) await besiege(order)
  }),
)

const newcomers = newcomersOf(outcomes)
print('')
print(newcomers.line)
problems.push(...newcomers.problems)
if (!values.quick && values.only === '') {
  const file = join(ROOT, 'test/siege/results.md')
  const [text] = (await readFile(file, 'utf8')).split(/^\|/m)
  await writeFile(file, `${text}${lines.join('\n')}\n`)
}
for (const one of problems) process.stderr.write(`${one}\n`)
if (problems.length > 0) process.exitCode = 1
