import { mayBeCaused, shownFailure, type Answer } from './decision.js'
import { networkOf } from './network.js'

/**
 * Failures in a row after which a backend counts as down; and so many more where all are about one network, which may be
 * the cause of them, or all that there is, behind a proxy.
 */
const FAILURES_IN_A_ROW = 5
const FAILURES_OF_ONE = 20

/** How many of the last answers tell whether a backend is slow, and how many of them must be. */
const SAMPLE = 20
const SLOW_IN_SAMPLE = 15

/** Time between two probes of a backend that is down; the longer one, when both are about the same network. */
const PROBE_MS = 1_000
const SAME_PROBE_MS = 1_500

/** An admission so long before a question still shows that the backend is not down. */
const SERVING_MS = 1_000

export interface BreakerOptions {
  /** An answer that takes longer is slow; 0: none is. */
  readonly slowMs: number
  /** Milliseconds of a clock that never goes back: libraries measure by the wall clock, and stay open when it is set back. */
  readonly now: () => number
  /** Told of the last answer: the failure as in the log, `slow` where there was none. */
  readonly onOpen: (cause: string | number) => void
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
  #failuresOfOne = 0
  #lastFailed: string | undefined
  /** Of the last answers: the network that a slow one was about, undefined for one in time. */
  #slow: (string | undefined)[] = []
  #lastProbeAtMs = 0
  #lastProbed: string | undefined
  /** The last admission in each of two networks: one of them is not the asker's. */
  #lastAdmitted: readonly { readonly network: string; readonly atMs: number }[] = []
  readonly #options: BreakerOptions

  constructor(options: BreakerOptions) {
    this.#options = options
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  /** Whether a question about anybody may go to the backend now. */
  get isAskable(): boolean {
    return !this.#isOpen || this.#options.now() - this.#lastProbeAtMs >= PROBE_MS
  }

  /**
   * Whether a question may go to the backend now. While it is open, yes means that the caller does ask. Others come
   * before who asked last: nobody whose own questions fail can keep it open.
   */
  mayAsk(clientIp: string): boolean {
    if (!this.#isOpen) return true
    const network = networkOf(clientIp)
    const now = this.#options.now()
    if (now - this.#lastProbeAtMs < (network === this.#lastProbed ? SAME_PROBE_MS : PROBE_MS)) return false
    this.#lastProbeAtMs = now
    this.#lastProbed = network
    return true
  }

  /** Whether somebody in another network was admitted after this moment, or just before. */
  isServingOthers(clientIp: string, sinceMs: number): boolean {
    const network = networkOf(clientIp)
    return this.#lastAdmitted.some((one) => one.network !== network && one.atMs >= sinceMs - SERVING_MS)
  }

  /** Learns from a question what it tells about the backend. */
  async watch(clientIp: string, question: () => Promise<Answer>): Promise<Answer> {
    const { now } = this.#options
    const startedAtMs = now()
    const answer = await question()
    this.#learn(networkOf(clientIp), answer, now() - startedAtMs)
    return answer
  }

  /** One answer in time closes it again; a slow one does not. */
  #learn(network: string, answer: Answer, elapsedMs: number): void {
    const hasFailed = answer.outcome === 'unavailable'
    const isSlow = this.#options.slowMs > 0 && elapsedMs > this.#options.slowMs
    if (hasFailed) {
      // A script that hangs or breaks off on some query, a limit for who asks too much: what may be about one viewer is
      // confirmed by a failure in another network. One that breaks off proves nothing else, however often.
      if (isUnmistakable(answer) || network !== this.#lastFailed) this.#failures++
      if (!mayBeCaused(answer)) this.#failuresOfOne++
      this.#lastFailed = network
    } else {
      this.#failures = 0
      this.#failuresOfOne = 0
      this.#lastFailed = undefined
    }
    if (answer.outcome === 'allow') {
      const others = this.#lastAdmitted.filter((one) => one.network !== network)
      this.#lastAdmitted = [{ network, atMs: this.#options.now() }, ...others].slice(0, 2)
    }
    this.#slow = [...this.#slow.slice(1 - SAMPLE), isSlow ? network : undefined]
    if (this.#isOpen) {
      if (!hasFailed && !isSlow) this.#close()
    } else if (this.#hasFailed() || this.#isSlow()) {
      this.#open(hasFailed ? shownFailure(answer) : 'slow')
    }
  }

  #hasFailed(): boolean {
    return this.#failures >= FAILURES_IN_A_ROW || this.#failuresOfOne >= FAILURES_OF_ONE
  }

  /** Most of the last answers were slow, and not about one network alone: nobody can be slow for all. */
  #isSlow(): boolean {
    const slow = this.#slow.filter((network) => network !== undefined)
    return slow.length >= SLOW_IN_SAMPLE && new Set(slow).size > 1
  }

  #open(cause: string | number): void {
    this.#isOpen = true
    this.#lastProbeAtMs = this.#options.now()
    this.#options.onOpen(cause)
  }

  #close(): void {
    this.#isOpen = false
    this.#slow = []
    this.#options.onClose()
  }
}

/** Nobody was there to read the question. */
function isUnmistakable({ failure }: Answer & { outcome: 'unavailable' }): boolean {
  return failure === 'refused' || failure === 'dns' || failure === 'tls'
}
