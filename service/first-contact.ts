import type { Logger } from 'pino'
import { whereRefused } from './where-refused.js'
import type { GuardedBackend } from './backends/guard/guarded-backend.js'
import { withoutSecrets, type Config } from './config.js'

/** How often it is told, in milliseconds. */
const EVERY_MS = 60_000

export interface FirstContactOptions {
  readonly config: Pick<Config, 'backendUrl' | 'whenBackendDown'>
  readonly backend: Pick<GuardedBackend, 'askBare' | 'neverAnswered'>
  readonly log: Logger
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number
}

/**
 * Asks the backend at the start, and tells of one that has never answered since the service was first started: this is no
 * outage that passes, but a wrong setting, and everybody is let in, or kept out, by it.
 */
export class FirstContact {
  #askedAtMs = -Infinity
  readonly #options: FirstContactOptions

  constructor(options: FirstContactOptions) {
    this.#options = options
  }

  /** Called now and then. */
  tick(): void {
    const { backend, now } = this.#options
    const isFirst = this.#askedAtMs === -Infinity
    if (!isFirst && (backend.neverAnswered === undefined || now() - this.#askedAtMs < EVERY_MS)) return
    this.#askedAtMs = now()
    void backend.askBare().then(() => this.#tell())
  }

  #tell(): void {
    const { backend, config, log } = this.#options
    const cause = backend.neverAnswered
    if (cause === undefined) return
    const { backendUrl, whenBackendDown } = config
    const advice = cause === 'refused' ? whereRefused(backendUrl.hostname) : ''
    const become = whenBackendDown === 'allow' ? 'let in without a decision' : 'refused'
    log.error(
      { backend: cause, url: withoutSecrets(backendUrl.href), whenBackendDown, ...(advice && { advice }) },
      `the backend has never answered since this service was first started: every new viewer is ${become}`,
    )
  }
}
