import { parseArgs } from 'node:util'
import { nginxProblem } from '../nginx/harness.js'
import { fuzz } from './fuzz.js'

/*
 * `npm run fuzz -- --count N --seed S`: N request targets, hostile and honest, against nginx and the service. The same
 * seed makes the same targets. Ends with 1 and the first targets that got through where there are any.
 */

// What is logged and remembered on the way is kept in memory: a long run is several short ones.
const AT_MOST = 200_000

const { values } = parseArgs({ options: { count: { type: 'string' }, seed: { type: 'string' } } })
const count = wholeNumber('count', values.count ?? '200000')
const firstSeed = wholeNumber('seed', values.seed ?? String(Date.now() % 2 ** 31))

const problem = nginxProblem()
if (problem) fail(problem)

process.stdout.write(`${count} targets from seed ${firstSeed}\n`)
const begin = performance.now()
const statuses = new Map<number, number>()
let ownServed = 0
for (let done = 0, seed = firstSeed; done < count; done += AT_MOST, seed++) {
  const result = await fuzz({ count: Math.min(AT_MOST, count - done), seed })
  for (const [status, times] of result.statuses) statuses.set(status, (statuses.get(status) ?? 0) + times)
  ownServed += result.ownServed
  if (result.holes.length > 0) {
    fail(
      `${result.holes.length} holes with seed ${seed}, the first of them:\n${result.holes.slice(0, 20).join('\n')}`,
    )
  }
}
const byStatus = [...statuses]
  .toSorted(([one], [other]) => one - other)
  .map(([status, times]) => `${status} × ${times}`)
process.stdout.write(
  `no hole; ${byStatus.join(', ')}; ${ownServed} odd ones served, all with the viewer's own; ` +
    `${Math.round((performance.now() - begin) / 1_000)} s\n`,
)

function wholeNumber(name: string, text: string): number {
  if (!/^\d{1,10}$/.test(text)) fail(`--${name}="${text}": must be a whole number`)
  return Number(text)
}

function fail(message: string): never {
  process.stderr.write(`${message}\n`)
  process.exit(1)
}
