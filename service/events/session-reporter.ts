import { textFromHeader } from '../header-text.js'
import type { Observer } from '../observer.js'
import { partsOf, type Session } from '../session.js'
import type { CloseReason } from '../session-store.js'

/** What EVENTS_URL is told of a session. Holds no credentials. */
export interface SessionEvent {
  readonly event: 'opened' | 'closed'
  /** ISO 8601. */
  readonly time: string
  readonly client_id: string
  readonly channel_id: string
  readonly addr: string
  readonly name: string
  readonly host: string
  readonly user_agent: string
  /** Who let him in. */
  readonly source: Session['source']
  /** Seconds from the opening to the last request; only when closed. */
  readonly duration?: number
  /** Only when closed. */
  readonly reason?: Exclude<CloseReason, 'moved'>
}

export interface SessionReporterOptions {
  /** A session that lasts less is not reported: neither its opening nor its closing. 0 for all. */
  readonly minDurationMs: number
  /** Milliseconds of the service's monotonic clock. */
  readonly now: () => number
  /** Milliseconds of the wall clock. */
  readonly wallNow: () => number
  readonly send: (event: SessionEvent) => void
}

/** Tells when sessions open and close. One that was open at the last stop is taken for reported. */
export class SessionReporter implements Observer {
  /** Opened and not yet told, with when to look at them again, the next one first. */
  readonly #young = new Map<Session, number>()
  readonly #options: SessionReporterOptions

  constructor(options: SessionReporterOptions) {
    this.#options = options
  }

  onOpened(session: Session): void {
    const { minDurationMs, now } = this.#options
    if (minDurationMs === 0) this.#tell('opened', session)
    else this.#young.set(session, now() + minDurationMs)
  }

  onClosed(session: Session, reason: CloseReason): void {
    const isUntold = this.#young.delete(session)
    // Where it has moved to its closing is told.
    if (reason === 'moved' || lastedMs(session) < this.#options.minDurationMs) return
    if (isUntold) this.#tell('opened', session)
    this.#tell('closed', session, { duration: Math.floor(lastedMs(session) / 1_000), reason })
  }

  /** Tells of those who have watched long enough. Called now and then. */
  tick(): void {
    const { minDurationMs, now } = this.#options
    const nowMs = now()
    for (const [session, dueMs] of this.#young) {
      // Also one that is put back below.
      if (nowMs < dueMs) return
      this.#young.delete(session)
      if (lastedMs(session) >= minDurationMs) this.#tell('opened', session)
      else this.#young.set(session, nowMs + minDurationMs)
    }
  }

  #tell(event: 'opened' | 'closed', session: Session, more: Partial<SessionEvent> = {}): void {
    const { now, wallNow, send } = this.#options
    const { host, channelId, clientIp, userAgent } = partsOf(session.key)
    const atMs = event === 'opened' ? session.openedAtMs : now()
    send({
      event,
      time: new Date(atMs - now() + wallNow()).toISOString(),
      client_id: session.id,
      channel_id: channelId,
      addr: clientIp,
      name: textFromHeader(session.name),
      host: textFromHeader(host),
      user_agent: textFromHeader(userAgent),
      source: session.source,
      ...more,
    })
  }
}

function lastedMs({ openedAtMs, lastSeenAtMs }: Session): number {
  return lastSeenAtMs - openedAtMs
}
