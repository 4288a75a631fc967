import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { quantile } from '../bench/statistics.js'
import { nginxProblem } from '../nginx/harness.js'
import { ROOT } from '../root.js'
import { Audience, type Kind, type Seen } from './audience.js'
import { FAULTS } from './faults.js'
import { setStage } from './stage.js'

/*
 * `npm run chaos`: 200 viewers watch through a real nginx, 20 are refused, ten more come each second, while one thing
 * after the other goes wrong. Ends with 1 where somebody was refused or admitted wrongly. `-- --long`: half a minute for
 * each, and writes test/chaos/results.md.
 */

const isLong = process.argv.includes('--long')
const faultMs = isLong ? 30_000 : 6_000
// Those who came in meanwhile are checked, and nginx's memory of it passes.
const calmMs = isLong ? 10_000 : 4_000

const problem = nginxProblem()
if (problem) {
  process.stderr.write(`${problem}\n`)
  process.exit(1)
}

const lines: string[] = []
function print(line: string): void {
  lines.push(line)
  process.stdout.write(`${line}\n`)
}
const stage = await setStage()
const audience = new Audience(stage)
await audience.begin()

let isBad = false
print(
  `| ${faultMs / 1_000} s of | requests | refused wrongly | admitted wrongly | longest wait of who watches, ms | new viewers: p50, p99 ms | not admitted |`,
)
print('| --- | --: | --: | --: | --: | --: | --: |')
for (const fault of FAULTS) {
  audience.seen = []
  await fault.run(stage, faultMs)
  await delay(calmMs)
  const { seen } = audience
  const of = (kind: Kind) => seen.filter((one) => one.kind === kind)
  const isAllowed = ({ status }: Seen) => status === 200
  const refused = of('known').filter((one) => !isAllowed(one)).length
  const admitted = of('refused').filter(isAllowed).length
  const longest = Math.max(...of('known').map(({ ms }) => ms))
  const arrivals = of('new').map(({ ms }) => ms)
  const turnedAway = of('new').filter((one) => !isAllowed(one)).length
  const waits = `${Math.round(quantile(arrivals, 0.5))}, ${Math.round(quantile(arrivals, 0.99))}`
  print(
    `| ${fault.name} | ${seen.length} | ${refused} | ${admitted} | ${Math.round(longest)} | ${waits} | ${turnedAway} |`,
  )
  if (refused > 0 || admitted > 0 || longest > 1_000) isBad = true
}
await audience.end()
await stage.stop()
if (isLong)
  await writeFile(join(ROOT, 'test/chaos/results.md'), `# While things go wrong\n\n${lines.join('\n')}\n`)
if (isBad) process.exitCode = 1
