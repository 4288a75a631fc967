import type { Logger } from 'pino'

/** Most lines in a second: a bug may show with each request. */
const MOST_A_SECOND = 10

/**
 * Writes a line for each bug. Only the stack's own lines go into it: a message may quote what a viewer sent.
 *
 * @param now milliseconds of a clock that never goes back
 */
export function createBugLog(log: Logger, now: () => number): (error: unknown) => void {
  let second = -1
  let lines = 0
  return (error) => {
    const current = Math.floor(now() / 1_000)
    lines = current === second ? lines + 1 : 1
    second = current
    if (lines > MOST_A_SECOND) return
    const { name, stack = '' } = error instanceof Error ? error : new Error()
    log.error({ error: name, stack: linesOf(stack) }, 'a bug')
  }
}

function linesOf(stack: string): string {
  return stack
    .split('\n')
    .filter((line) => line.startsWith('    at '))
    .join('\n')
}
