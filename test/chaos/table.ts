import { quantile } from '../bench/statistics.js'
import type { Kind, Seen } from './audience.js'
import type { Fault } from './faults.js'
import { DEADLINE_MS, type Stage } from './stage.js'

/**
 * What the machine may add to a deadline, in milliseconds; more where those who watch waited longer, about whom nobody is
 * asked.
 */
const NOISE_MS = 100

/** How long the service may need, beyond the backend's deadline, to find out whose fault it is, in milliseconds: a promise. */
const VERDICT_MS = 1_000

/** Until it is noticed that the backend is back, in milliseconds: a promise. */
const RECOVERY_MS = 2_000

/** What a kill takes, in milliseconds. */
const KILL_MS = 50

/** Longest wait of who watches already, and p99 of new viewers once the outage is known: promises. */
const LIMIT_MS = { known: 1_000, unasked: 50 }

export const HEAD = [
  '| what goes wrong | requests | refused wrongly | admitted wrongly | longest wait | new, asked: longest | new, outage known: count, p50, p99 | new, turned away |',
  '| --- | --: | --: | --: | --: | --: | --: | --: |',
]

export interface Row {
  readonly line: string
  /** What must not be. */
  readonly problems: readonly string[]
  /** Waits in an outage that the service knew of, in milliseconds: of new viewers, and of those who watched already. */
  readonly unaskedMs: readonly number[]
  readonly watchingMs: readonly number[]
}

/**
 * Judges what the audience has seen of one fault.
 *
 * @param mendedAtMs when it was put right, by performance.now()
 */
export function rowOf(
  fault: Fault,
  seen: readonly Seen[],
  { outages, kills }: Pick<Stage, 'outages' | 'kills'>,
  mendedAtMs: number,
): Row {
  const of = (kind: Kind) => seen.filter((one) => one.kind === kind)
  const isAllowed = ({ status }: Seen) => status === 200
  const isInOutage = ({ atMs }: Seen) =>
    outages.some(({ fromMs, untilMs }) => atMs >= fromMs && atMs <= untilMs)
  const refused = of('known').filter((one) => !isAllowed(one)).length
  const admitted = of('refused').filter(isAllowed).length
  const longestMs = Math.max(...of('known').map(({ ms }) => ms))
  const asked = of('new').filter((one) => !isInOutage(one))
  const askedMs = Math.max(...asked.map(({ ms }) => ms))
  const unasked = of('new').filter(isInOutage)
  const unaskedMs = unasked.map(({ ms }) => ms)
  const turnedAway = of('new').filter((one) => !isAllowed(one))
  // nginx cannot tell a service that dies over a question from one that is killed meanwhile.
  const wasKilled = ({ atMs, ms: waitMs }: Seen) =>
    kills.some((killedMs) => killedMs > atMs - KILL_MS && killedMs < atMs + waitMs + KILL_MS)

  const rules: [isBroken: boolean, problem: string][] = [
    [refused > 0, 'somebody who watches was refused'],
    [admitted > 0, 'somebody who was refused was admitted'],
    [longestMs >= LIMIT_MS.known, 'somebody who watches waited too long'],
    [
      askedMs >= DEADLINE_MS + VERDICT_MS + Math.max(NOISE_MS, longestMs),
      "a new viewer waited longer than the backend's deadline and a second",
    ],
    [fault.isOutage === true && unasked.length === 0, 'the service noticed no outage'],
    [
      outages.some(({ untilMs }) => untilMs > mendedAtMs + RECOVERY_MS + NOISE_MS),
      'the service noticed its end too late',
    ],
    [!turnedAway.every(wasKilled), 'a new viewer was turned away'],
  ]
  const outage =
    unasked.length === 0 ? '–' : `${unasked.length}, ${ms(unaskedMs, 0.5)}, ${ms(unaskedMs, 0.99)}`
  return {
    line: `| ${fault.name} | ${seen.length} | ${refused} | ${admitted} | ${Math.round(longestMs)} | ${asked.length === 0 ? '–' : Math.round(askedMs)} | ${outage} | ${turnedAway.length} |`,
    problems: rules.filter(([isBroken]) => isBroken).map(([, problem]) => `${fault.name}: ${problem}`),
    unaskedMs,
    watchingMs: of('known')
      .filter(isInOutage)
      .map(({ ms }) => ms),
  }
}

/** A row for what cannot be brought about here. */
export function emptyRow({ name, problem }: Fault): string {
  return `| ${name} | not tried: ${problem} | | | | | | |`
}

/**
 * The promise about the new viewers of all outages together: a row by itself has few of them. Nobody asks the backend
 * about those who watch already, so what they wait beyond the limit is the machine's own business, and allowed for.
 */
export function promiseOf(rows: readonly Row[]): { line: string; problems: string[] } {
  const unaskedMs = rows.flatMap((row) => row.unaskedMs)
  const p99 = ms(unaskedMs, 0.99)
  const watchingP99 = ms(
    rows.flatMap((row) => row.watchingMs),
    0.99,
  )
  const isKept = p99 < Math.max(LIMIT_MS.unasked, watchingP99)
  return {
    line: `New viewers once an outage is known, all together: ${unaskedMs.length}, p99 ${p99} ms; who watches meanwhile: p99 ${watchingP99} ms.`,
    problems: isKept ? [] : [`new viewers in an outage waited ${p99} ms (p99)`],
  }
}

const ms = (values: readonly number[], part: number) => Math.round(quantile(values, part))
