/** How many questions at once before anything is known, in all. */
const FIRST = 8

/** An answer that takes more than twice as long as the fastest of late, and so many milliseconds, shows a queue. */
const NOISE_MS = 10

/** The fastest answer is that of the last one to two of these times, in milliseconds. */
const WINDOW_MS = 30_000

export interface ConcurrencyLimitOptions {
  /** Never more. */
  readonly most: number
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number
}

/**
 * How many questions the backend is asked at once: as many as it answers without making them wait for each other. It
 * grows and is halved like TCP's congestion window (slow start and congestion avoidance, RFC 5681 section 3.1; only while
 * it is used up, RFC 7661), with two differences. It grows by admissions alone: whoever has no good token cannot raise
 * it. And it is halved by the service's own questions alone: whose question is slow by itself cannot lower it.
 */
export class ConcurrencyLimit {
  #limit: number
  #threshold: number
  #fastestMs = Infinity
  #fastestBeforeMs = Infinity
  #windowSinceMs: number
  readonly #options: ConcurrencyLimitOptions

  constructor(options: ConcurrencyLimitOptions) {
    this.#options = options
    this.#limit = Math.min(FIRST, options.most)
    this.#threshold = options.most
    this.#windowSinceMs = options.now()
  }

  /** A whole number. */
  get value(): number {
    return Math.floor(this.#limit)
  }

  /** How long the fastest answer of late has taken, in milliseconds; Infinity before the first. */
  get fastestMs(): number {
    return Math.min(this.#fastestMs, this.#fastestBeforeMs)
  }

  /**
   * Learns from an admission.
   *
   * @param isUsedUp whether more would have been asked at once, had the limit been higher
   */
  admitted(elapsedMs: number, isUsedUp: boolean): void {
    this.#note(elapsedMs)
    if (!isUsedUp || elapsedMs > 2 * this.fastestMs + NOISE_MS) return
    const step = this.#limit < this.#threshold ? 1 : 1 / this.#limit
    this.#limit = Math.min(this.#limit + step, this.#options.most)
  }

  /** The service's own question has had no answer in time. */
  halve(): void {
    this.#limit = Math.max(this.#limit / 2, Math.min(FIRST, this.#options.most))
    this.#threshold = this.#limit
  }

  #note(elapsedMs: number): void {
    const nowMs = this.#options.now()
    if (nowMs - this.#windowSinceMs > WINDOW_MS) {
      this.#fastestBeforeMs = this.#fastestMs
      this.#fastestMs = Infinity
      this.#windowSinceMs = nowMs
    }
    this.#fastestMs = Math.min(this.#fastestMs, elapsedMs)
  }
}
