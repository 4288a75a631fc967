import type { Order, Outcome } from './siege.js'
import type { Way } from './ways.js'

/** SESSION_RECHECK and EDGE_TTL in a siege, and a second for nginx's and the player's own pace. */
const OUT_WITHIN_MS = 10_000 + 2_000 + 1_500

/** Of all newcomers whom the backend could answer. */
const ADMITTED_PART = 0.99

export const HEAD = [
  '| what viewers do | addresses | door | worthless requests | **served** | watching, interrupted | newcomers, admitted in time | the others | re-checks | ended subscription out after |',
  '| --- | --: | --- | --: | --: | --: | --: | --- | --: | --: |',
]

export function lineOf(way: Way, { addresses, door }: Order, outcome: Outcome): string {
  const { newcomers, admitted, others, outAfterMs } = outcome
  const rest = Object.entries(others).map(([what, times]) => `${what} × ${times}`)
  const cells = [
    way.name,
    addresses,
    door,
    outcome.sent,
    outcome.served,
    way.isAtNight ? '–' : outcome.interrupted,
    way.isAtNight ? '–' : `${newcomers}, ${((100 * admitted) / newcomers).toFixed(1)} %`,
    rest.join(', ') || '–',
    way.isAtNight ? '–' : outcome.rechecks,
    outAfterMs === null ? '–' : `${(outAfterMs / 1_000).toFixed(1)} s`,
  ]
  return `| ${cells.join(' | ')} |`
}

/** What must not be, in one siege. */
export function problemsOf(way: Way, { addresses, door, seconds }: Order, outcome: Outcome): string[] {
  const { sent, served, interrupted, outAfterMs, outages, crashes } = outcome
  const mustBeOut = !way.isAtNight && seconds * 1_000 > OUT_WITHIN_MS
  const rules: [isBroken: boolean, problem: string][] = [
    [sent === 0, 'nothing was sent'],
    [served > 0, `${served} worthless requests were served`],
    [interrupted > 0 && !way.isExhausting, `${interrupted} requests of those who watch were not served`],
    [mustBeOut && outAfterMs === null && !way.isExhausting, 'an ended subscription went on'],
    [outages > 0, 'the service took it for an outage'],
    [crashes > 0, 'the service ended'],
  ]
  const where = `${way.name}, ${addresses} addresses, ${door}`
  return rules.filter(([isBroken]) => isBroken).map(([, problem]) => `${where}: ${problem}`)
}

/** The promise about newcomers, of all sieges together in which the backend could answer them. */
export function newcomersOf(outcomes: readonly (readonly [Way, Outcome])[]): {
  line: string
  problems: string[]
} {
  const judged = outcomes.filter(([way]) => !way.isExhausting && !way.isAtNight).map(([, outcome]) => outcome)
  const newcomers = judged.reduce((sum, one) => sum + one.newcomers, 0)
  const admitted = judged.reduce((sum, one) => sum + one.admitted, 0)
  if (newcomers === 0) return { line: 'No newcomers.', problems: [] }
  const part = admitted / newcomers
  return {
    line: `Newcomers whom the backend could answer: ${newcomers}, ${(100 * part).toFixed(2)} % admitted within BACKEND_TIMEOUT.`,
    problems:
      part >= ADMITTED_PART ? [] : [`only ${(100 * part).toFixed(2)} % of the newcomers were admitted`],
  }
}
