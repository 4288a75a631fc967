import type { Logger } from 'pino'
import type { WhenBackendDown } from './decision.js'
import type { DecisionEvent } from './questions.js'
import type { Observer } from './observer.js'

/** How long after an outage those who came in meanwhile have for their check, before the account is closed. */
const SETTLE_MS = 60_000

export interface OutageAccountOptions {
  readonly log: Logger
  readonly whenBackendDown: WhenBackendDown
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number
}

/**
 * The account of one outage after the other: a line when it begins, one when it ends, and one when it is known what
 * became of those who came in through the open door.
 */
export class OutageAccount implements Observer {
  #current: Outage | undefined
  #outages = 0
  /** Who came in and is not decided about yet. */
  readonly #waiting = new WeakSet<DecisionEvent['session']>()
  readonly #options: OutageAccountOptions

  constructor(options: OutageAccountOptions) {
    this.#options = options
  }

  /** The outage that lasts, where one does. */
  get outage(): Pick<Outage, 'backend' | 'beganAtMs' | 'admitted'> | undefined {
    return this.#current?.endedAtMs === undefined ? this.#current : undefined
  }

  /** How many there were, one that lasts included. */
  get outages(): number {
    return this.#outages
  }

  onOutage(cause: string | number): void {
    this.settle()
    this.#outages++
    this.#current = {
      backend: cause,
      beganAtMs: this.#options.now(),
      endedAtMs: undefined,
      admitted: 0,
      confirmed: 0,
      closed: 0,
    }
    const { log, whenBackendDown } = this.#options
    log.error(
      { backend: cause, whenBackendDown },
      'outage began: the backend fails or is too slow, new viewers get WHEN_BACKEND_DOWN',
    )
  }

  end(): void {
    const outage = this.#current
    if (outage === undefined) return
    outage.endedAtMs = this.#options.now()
    const seconds = Math.round((outage.endedAtMs - outage.beganAtMs) / 1_000)
    this.#options.log.warn({ seconds, admitted: outage.admitted }, 'outage ended: the backend answers again')
  }

  /** Counts who was admitted without a decision, and what became of them afterwards. */
  onDecision({
    session,
    verdict,
    wasUndecided,
  }: Pick<DecisionEvent, 'session' | 'verdict' | 'wasUndecided'>): void {
    const outage = this.#current
    if (outage === undefined) return
    if (verdict.source === 'open-door') {
      this.#waiting.add(session)
      outage.admitted++
    }
    if (!wasUndecided || verdict.source === 'kept') return
    // Not who came in before this service was started, or before an account that is closed.
    if (!this.#waiting.delete(session)) return
    if (verdict.allow) outage.confirmed++
    else outage.closed++
    const isDone = outage.confirmed + outage.closed >= outage.admitted
    if (isDone && outage.endedAtMs !== undefined) this.settle()
  }

  /** Closes the account of an outage that is long enough over. Called now and then. */
  tick(): void {
    const endedAtMs = this.#current?.endedAtMs
    if (endedAtMs !== undefined && this.#options.now() - endedAtMs > SETTLE_MS) this.settle()
  }

  /** Closes the account as it stands. */
  settle(): void {
    const outage = this.#current
    if (outage === undefined) return
    this.#current = undefined
    const { admitted, confirmed, closed } = outage
    const unchecked = Math.max(0, admitted - confirmed - closed)
    this.#options.log.warn(
      { admitted, confirmed, closed, unchecked },
      'outage settled: who came in meanwhile',
    )
  }
}

interface Outage {
  /** What began it: a failure or a status, or `slow`. */
  readonly backend: string | number
  readonly beganAtMs: number
  endedAtMs: number | undefined
  admitted: number
  confirmed: number
  closed: number
}
