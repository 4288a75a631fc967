import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { nginxProblem } from '../nginx/harness.js'
import { ROOT } from '../root.js'
import { Audience } from './audience.js'
import { FAULTS } from './faults.js'
import { setStage } from './stage.js'
import { emptyRow, HEAD, promiseOf, rowOf, type Row } from './table.js'

/*
 * `npm run chaos`: 200 viewers watch through a real nginx, 20 are refused, twenty more come each second, while one thing
 * after the other goes wrong. Ends with 1 where a promise is broken. `-- --long`: half a minute for each, and writes the
 * table into test/chaos/results.md, whose text says what is in it.
 */

const isLong = process.argv.includes('--long')
const faultMs = isLong ? 30_000 : 5_000
// Those who came in meanwhile are checked, and nginx's memory of it passes.
const calmMs = isLong ? 10_000 : 3_500

const problem = nginxProblem()
if (problem) {
  process.stderr.write(`${problem}\n`)
  process.exit(1)
}

const lines: string[] = []
const problems: string[] = []
const rows: Row[] = []
function print(line: string): void {
  lines.push(line)
  process.stdout.write(`${line}\n`)
}

const stage = await setStage()
const audience = new Audience(stage)
await audience.begin()
for (const line of HEAD) print(line)
for (const fault of FAULTS) {
  if (fault.problem) {
    print(emptyRow(fault))
    continue
  }
  audience.seen = []
  const { crashes } = stage
  await fault.run(stage, faultMs)
  const mendedAtMs = performance.now()
  await delay(calmMs)
  const row = rowOf(fault, audience.seen, stage, mendedAtMs)
  print(row.line)
  problems.push(...row.problems)
  if (stage.crashes > crashes) problems.push(`${fault.name}: the service ended by itself`)
  rows.push(row)
}
await audience.end()
await stage.stop()

const promise = promiseOf(rows)
print('')
print(promise.line)
problems.push(...promise.problems)
if (isLong) {
  const file = join(ROOT, 'test/chaos/results.md')
  const [text] = (await readFile(file, 'utf8')).split(/^\|/m)
  await writeFile(file, `${text}${lines.join('\n')}\n`)
}
for (const one of problems) process.stderr.write(`${one}\n`)
if (problems.length > 0) process.exitCode = 1
