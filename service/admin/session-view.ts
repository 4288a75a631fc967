import { textFromHeader } from '../header-text.js'
import { partsOf, type Session } from '../session.js'

/** Who says that a session may watch: the backend now, the backend before it failed to answer, or nobody. */
export const SESSION_SOURCES = ['backend', 'remembered', 'open-door'] as const
export type SessionSource = (typeof SESSION_SOURCES)[number]

/** A session as the admin interface tells it, with Cesbo Astra's names where Astra has them. Holds no credentials. */
export interface SessionView {
  readonly client_id: string
  readonly channel_id: string
  readonly addr: string
  /** Seconds. */
  readonly uptime: number
  readonly name: string
  readonly host: string
  readonly user_agent: string
  /** ISO 8601, as is expires. */
  readonly last_seen: string
  readonly source: SessionSource
  /** When the backend is asked again; null for never. */
  readonly expires: string | null
}

/** The two clocks at one moment, in milliseconds: sessions keep the one, people read the other. */
export interface Moment {
  readonly nowMs: number
  readonly wallMs: number
}

export function sourceOf({ source, failedChecks }: Session): SessionSource {
  if (source === 'open-door') return 'open-door'
  return failedChecks > 0 ? 'remembered' : 'backend'
}

/** A time of the service's clock as one of the wall's. */
export function isoTime(ms: number, { nowMs, wallMs }: Moment): string {
  return new Date(ms - nowMs + wallMs).toISOString()
}

export function viewOf(session: Session, moment: Moment): SessionView {
  const { host, channelId, clientIp, userAgent } = partsOf(session.key)
  const { recheckAtMs } = session
  return {
    client_id: session.id,
    channel_id: channelId,
    addr: clientIp,
    uptime: Math.floor((moment.nowMs - session.openedAtMs) / 1_000),
    name: textFromHeader(session.name),
    host: textFromHeader(host),
    user_agent: textFromHeader(userAgent),
    last_seen: isoTime(session.lastSeenAtMs, moment),
    source: sourceOf(session),
    expires: recheckAtMs === Infinity ? null : isoTime(recheckAtMs, moment),
  }
}
