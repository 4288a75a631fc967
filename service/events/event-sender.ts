import { setTimeout as delay } from 'node:timers/promises'
import { ofetch } from 'ofetch'
import { basicAuthorization } from '../basic-authorization.js'
import type { SessionEvent } from './session-reporter.js'

/** Most events that wait; beyond it the oldest are lost. */
const MAX_WAITING = 10_000

/** Most events in one POST, and how long the first of them waits for others. */
const MAX_BATCH = 500
const BATCH_MS = 1_000

const TIMEOUT_MS = 5_000
/** While the service ends, for all that waits. */
const LAST_MS = 1_000

/** Pauses before a POST that failed is tried again; after the last one it is given up. */
const RETRY_MS = [1_000, 2_000, 4_000, 8_000, 16_000] as const

export interface EventSenderOptions {
  /** May hold `user:password@`. */
  readonly url: URL
  /** Events that never arrived, and why: a status or an error's code, never the address. */
  readonly onLost: (count: number, why: string) => void
  /** Divides all times: for tests. */
  readonly haste?: number
}

/**
 * POSTs events as `{"events": […]}`, in order, in batches, one POST at a time. A viewer never waits for it, and what the
 * receiver does not take is lost after half a minute. A 4xx but 408 and 429 is final.
 */
export class EventSender {
  #waiting: SessionEvent[] = []
  #sending: Promise<void> | undefined
  #overflow = 0
  /** Of the POST under way. */
  #deadline = new AbortController()
  #isOver = false
  readonly #ending = new AbortController()
  readonly #url: string
  readonly #headers: Record<string, string>
  readonly #options: EventSenderOptions

  constructor(options: EventSenderOptions) {
    const { origin, pathname, search } = options.url
    this.#url = origin + pathname + search
    this.#headers = { 'user-agent': 'nginx-hls-auth', ...basicAuthorization(options.url) }
    this.#options = options
  }

  send(event: SessionEvent): void {
    this.#waiting.push(event)
    if (this.#waiting.length > MAX_WAITING) {
      this.#waiting.splice(0, MAX_BATCH)
      this.#overflow += MAX_BATCH
    }
    this.#sending ??= this.#sendAll()
  }

  /** Sends what waits, without a pause and without a second try, and for no more than {@link LAST_MS}. */
  async close(): Promise<void> {
    this.#ending.abort()
    const timer = setTimeout(() => {
      this.#isOver = true
      this.#deadline.abort()
    }, LAST_MS)
    await this.#sending
    clearTimeout(timer)
  }

  async #sendAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      if (this.#waiting.length < MAX_BATCH) await this.#pause(BATCH_MS)
      if (this.#overflow > 0) this.#options.onLost(this.#overflow, 'too many wait')
      this.#overflow = 0
      await this.#deliver(this.#waiting.splice(0, MAX_BATCH))
    }
    this.#sending = undefined
  }

  async #deliver(events: readonly SessionEvent[]): Promise<void> {
    for (let tried = 0; ; tried++) {
      const failure = await this.#post(events)
      if (failure === undefined) return
      const pauseMs = RETRY_MS[tried]
      const { aborted: isEnding } = this.#ending.signal
      if (failure.isFinal || pauseMs === undefined || isEnding) {
        const others = isEnding ? this.#waiting.splice(0).length : 0
        this.#options.onLost(events.length + others, failure.why)
        return
      }
      await this.#pause(pauseMs)
    }
  }

  async #post(events: readonly SessionEvent[]): Promise<{ why: string; isFinal: boolean } | undefined> {
    if (this.#isOver) return { why: 'timeout', isFinal: true }
    const deadline = new AbortController()
    this.#deadline = deadline
    const timer = setTimeout(() => deadline.abort(), TIMEOUT_MS)
    try {
      const { status } = await ofetch.raw(this.#url, {
        method: 'POST',
        headers: this.#headers,
        body: { events },
        retry: 0,
        redirect: 'manual',
        ignoreResponseError: true,
        responseType: 'stream',
        signal: deadline.signal,
        onResponse: ({ response }) => void response.body?.cancel(),
      })
      if (status >= 200 && status < 300) return undefined
      return { why: String(status), isFinal: status < 500 && status !== 408 && status !== 429 }
    } catch (error) {
      return { why: deadline.signal.aborted ? 'timeout' : codeOf(error), isFinal: false }
    } finally {
      clearTimeout(timer)
    }
  }

  /** Ends early when the service does. */
  async #pause(ms: number): Promise<void> {
    const { signal } = this.#ending
    await delay(ms / (this.#options.haste ?? 1), undefined, { signal }).catch(() => {})
  }
}

/** The innermost code, such as ECONNREFUSED; a message would quote the address. */
function codeOf(error: unknown): string {
  let code = 'error'
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if ('code' in cause && typeof cause.code === 'string') ({ code } = cause)
  }
  return code
}
