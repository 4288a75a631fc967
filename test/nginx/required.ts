import { nginxProblem } from './harness.js'

/** Before the first test: one sentence instead of many failures where nginx is missing. */
export function setup(): void {
  const problem = nginxProblem()
  if (problem === undefined) return
  process.stderr.write(`${problem}\n`)
  process.exit(1)
}
