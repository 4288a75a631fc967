import type { DecisionEvent } from '../questions.js'
import type { Decision } from '../decision.js'
import type { Observer } from '../observer.js'

const MINUTE_S = 60

/** The backend's latency is told in so many steps of so many seconds. */
const LATENCY_STEPS = 60
const LATENCY_STEP_S = 5

/** More answers in one step than are needed for a median. */
const MAX_SAMPLES = 1_000

/** What has happened of late, for the sessions page. */
export class Recent implements Observer {
  readonly #opened = new Counts()
  readonly #refused = new Counts()
  /** Of the steps that are over, the oldest first. */
  #medians: (number | null)[] = []
  /** Of the step that lasts. */
  #samples: number[] = []
  #step: number
  #hasAnswered = false
  #failures = 0
  readonly #now: () => number

  /** @param now milliseconds of a clock that never goes back */
  constructor(now: () => number) {
    this.#now = now
    this.#step = this.#stepNow()
  }

  onReply({ allowed }: Decision): void {
    if (!allowed) this.#refused.add(this.#secondNow())
  }

  onOpened(): void {
    this.#opened.add(this.#secondNow())
  }

  onDecision({ answer, elapsedMs }: DecisionEvent): void {
    if (answer.outcome === 'unavailable') {
      if (answer.failure !== 'breaker') this.#failures++
      return
    }
    this.#hasAnswered = true
    this.#failures = 0
    this.#advance()
    if (this.#samples.length < MAX_SAMPLES) this.#samples.push(elapsedMs)
  }

  /** Sessions opened, and requests refused, within the last minute. */
  get lastMinute(): { readonly admitted: number; readonly refused: number } {
    const second = this.#secondNow()
    return { admitted: this.#opened.sum(second), refused: this.#refused.sum(second) }
  }

  /** Whether the backend has decided anything yet. */
  get hasAnswered(): boolean {
    return this.#hasAnswered
  }

  /** How many of the last questions, in a row, the backend gave no decision to. */
  get failures(): number {
    return this.#failures
  }

  /** The median latency in ms of the decisions of each of the last steps, oldest first; null where there were none. */
  get latency(): (number | null)[] {
    this.#advance()
    return [...this.#medians, medianOf(this.#samples)]
  }

  #advance(): void {
    const step = this.#stepNow()
    const passed = Math.min(step - this.#step, LATENCY_STEPS)
    this.#step = step
    for (let count = 0; count < passed; count++) {
      this.#medians.push(medianOf(this.#samples))
      this.#samples = []
    }
    if (passed > 0) this.#medians = this.#medians.slice(1 - LATENCY_STEPS)
  }

  #secondNow(): number {
    return Math.floor(this.#now() / 1_000)
  }

  #stepNow(): number {
    return Math.floor(this.#secondNow() / LATENCY_STEP_S)
  }
}

function medianOf(samples: readonly number[]): number | null {
  const sorted = samples.toSorted((one, other) => one - other)
  return sorted[Math.floor(sorted.length / 2)] ?? null
}

/** How often something happened in each second of the last minute. */
class Counts {
  readonly #counts = Array.from({ length: MINUTE_S }, () => 0)
  readonly #seconds = Array.from({ length: MINUTE_S }, () => -MINUTE_S)

  add(second: number): void {
    const at = second % MINUTE_S
    if (this.#seconds[at] !== second) this.#counts[at] = 0
    this.#seconds[at] = second
    this.#counts[at]!++
  }

  sum(second: number): number {
    return this.#counts.reduce(
      (sum, count, at) => sum + (second - this.#seconds[at]! < MINUTE_S ? count : 0),
      0,
    )
  }
}
