import { mayBeCaused, type Answer } from './decision.js'

/** Failures in a row after which a backend counts as down. */
const FAILURES_IN_A_ROW = 5

/** How many of the last answers tell whether a backend is slow, and how many of them must be. */
const SAMPLE = 20
const SLOW_IN_SAMPLE = 15

/** Time between two probes of a backend that is down. */
const PROBE_MS = 1_000

/** An admission so long before a question still shows that the backend is not down. */
const SERVING_MS = 1_000

export interface BreakerOptions {
  /**
   * Most questions in flight about one address. Below what the backend is asked at once, so that nobody can make others,
   * or himself, wait for a backend that is well: what waits too long counts as an outage, and lets viewers in.
   */
  readonly perAddress: number
  /** An answer that takes longer is slow; 0: none is. */
  readonly slowMs: number
  /** Milliseconds of a clock that never goes back: libraries measure by the wall clock, and stay open when it is set back. */
  readonly now: () => number
  readonly onOpen: () => void
  readonly onClose: () => void
}

/**
 * A circuit breaker before the backend. Open, it keeps everybody from waiting for a backend that is down or drowning,
 * and lets one question a second through to see whether it is back. Nobody waits for that one either: whoever asks it
 * has his decision already.
 */
export class Breaker {
  #isOpen = false
  #failures = 0
  #lastFailedAddress: string | undefined
  /** Of the last answers: the address that a slow one was about, undefined for one in time. */
  #slow: (string | undefined)[] = []
  #lastProbeAtMs = 0
  /** The last admission at each of two addresses: one of them is not the asker's. */
  #lastAdmitted: readonly { readonly clientIp: string; readonly atMs: number }[] = []
  readonly #inFlight = new Map<string, number>()
  readonly #options: BreakerOptions

  constructor(options: BreakerOptions) {
    this.#options = options
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  /** Whether a question may go to the backend now. While it is open, yes means that the caller does ask. */
  mayAsk(): boolean {
    if (!this.#isOpen) return true
    const now = this.#options.now()
    if (now - this.#lastProbeAtMs < PROBE_MS) return false
    this.#lastProbeAtMs = now
    return true
  }

  /** Whether as many questions as one address may have are in flight about it. */
  isCrowded(clientIp: string): boolean {
    return (this.#inFlight.get(clientIp) ?? 0) >= this.#options.perAddress
  }

  /** Whether somebody at another address was admitted after this moment, or just before. */
  isServingOthers(clientIp: string, sinceMs: number): boolean {
    return this.#lastAdmitted.some((one) => one.clientIp !== clientIp && one.atMs >= sinceMs - SERVING_MS)
  }

  /** Learns from a question what it tells about the backend. */
  async watch(clientIp: string, question: () => Promise<Answer>): Promise<Answer> {
    const { now } = this.#options
    const startedAtMs = now()
    this.#inFlight.set(clientIp, (this.#inFlight.get(clientIp) ?? 0) + 1)
    try {
      const answer = await question()
      this.#learn(clientIp, answer, now() - startedAtMs)
      return answer
    } finally {
      const left = this.#inFlight.get(clientIp)! - 1
      if (left === 0) this.#inFlight.delete(clientIp)
      else this.#inFlight.set(clientIp, left)
    }
  }

  /** One answer in time closes it again; a slow one does not. */
  #learn(clientIp: string, answer: Answer, elapsedMs: number): void {
    const hasFailed = answer.outcome === 'unavailable'
    const isSlow = this.#options.slowMs > 0 && elapsedMs > this.#options.slowMs
    if (hasFailed) {
      // What the question itself may have caused is confirmed only by a failure at another address.
      if (!mayBeCaused(answer) || clientIp !== this.#lastFailedAddress) this.#failures++
      this.#lastFailedAddress = clientIp
    } else {
      this.#failures = 0
      this.#lastFailedAddress = undefined
    }
    if (answer.outcome === 'allow') {
      const others = this.#lastAdmitted.filter((one) => one.clientIp !== clientIp)
      this.#lastAdmitted = [{ clientIp, atMs: this.#options.now() }, ...others].slice(0, 2)
    }
    this.#slow = [...this.#slow.slice(1 - SAMPLE), isSlow ? clientIp : undefined]
    if (this.#isOpen) {
      if (!hasFailed && !isSlow) this.#close()
    } else if (this.#failures >= FAILURES_IN_A_ROW || this.#isSlow()) {
      this.#open()
    }
  }

  /** Most of the last answers were slow, and not about one address alone: nobody can be slow for all. */
  #isSlow(): boolean {
    const slow = this.#slow.filter((address) => address !== undefined)
    return slow.length >= SLOW_IN_SAMPLE && new Set(slow).size > 1
  }

  #open(): void {
    this.#isOpen = true
    this.#lastProbeAtMs = this.#options.now()
    this.#options.onOpen()
  }

  #close(): void {
    this.#isOpen = false
    this.#slow = []
    this.#options.onClose()
  }
}
