/** Failures in a row after which a backend counts as down. */
const FAILURES_IN_A_ROW = 5

/** How many of the last answers tell whether a backend is slow, and how many of them must be. */
const SAMPLE = 20
const SLOW_IN_SAMPLE = 15

/** Time between two probes of a backend that is down. */
const PROBE_MS = 1_000

/** What came of a question, as far as it tells about the backend's health. */
export interface Experience {
  readonly hasFailed: boolean
  /** Whether the question itself may have caused the failure: then only another address's failure confirms it. */
  readonly mayBeCaused: boolean
  readonly clientIp: string
  readonly elapsedMs: number
}

export interface BreakerOptions {
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
  #slow: boolean[] = []
  #lastProbeAtMs = 0
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

  /** Learns from a question. One answer in time closes it again; a slow one does not. */
  learn({ hasFailed, mayBeCaused, clientIp, elapsedMs }: Experience): void {
    const isSlow = this.#options.slowMs > 0 && elapsedMs > this.#options.slowMs
    if (hasFailed) {
      if (!mayBeCaused || clientIp !== this.#lastFailedAddress) this.#failures++
      this.#lastFailedAddress = clientIp
    } else {
      this.#failures = 0
      this.#lastFailedAddress = undefined
    }
    this.#slow = [...this.#slow.slice(1 - SAMPLE), isSlow]
    if (this.#isOpen) {
      if (!hasFailed && !isSlow) this.#close()
    } else if (this.#failures >= FAILURES_IN_A_ROW || this.#slow.filter(Boolean).length >= SLOW_IN_SAMPLE) {
      this.#open()
    }
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
