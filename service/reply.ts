import type { Decision } from './decision.js'
import { headerFromText } from './header-text.js'

/** Status and headers of a reply to `auth_request`. */
export interface Reply {
  readonly status: 200 | 401 | 403
  readonly headers: Readonly<Record<string, string>>
}

/** How long nginx stands in for a service that is out of reach with what it remembers, in seconds. */
const STALE_IF_ERROR_S = 300

/**
 * A decision as nginx reads it. `Content-Length: 0` is what keeps nginx's connection to the service: a reply
 * without it goes out chunked, and nginx then opens a new connection for each request.
 */
export function replyTo(decision: Decision): Reply {
  const headers: Record<string, string> = { 'Content-Length': '0', 'Cache-Control': cacheControl(decision) }
  // As a part of a path that was judged it is short enough for `proxy_buffer_size`.
  if (decision.channelId !== undefined) headers['X-Channel-ID'] = headerFromText(decision.channelId)
  if (!decision.allowed) return { status: decision.refusal, headers }
  headers['X-Session-ID'] = decision.sessionId
  if (decision.sessionName !== '') headers['X-Session-Name'] = decision.sessionName
  return { status: 200, headers }
}

/**
 * RFC 5861, as nginx's proxy_cache obeys it. An admission is renewed behind the viewer's back, so that no one waits, in
 * the second half of its time; a refusal is not, so that a viewer who has paid meanwhile is not refused once more.
 */
function cacheControl({ allowed, edge }: Decision): string {
  // The part of a millisecond that has passed since it was decided is no second.
  const seconds = Math.floor(Math.round(edge.freshMs) / 1_000)
  if (seconds < 1) return 'no-store'
  const staleIfError = edge.isStaleAllowed ? `, stale-if-error=${STALE_IF_ERROR_S}` : ''
  // nginx counts whole seconds and begins with the one that is passing: it repeats for up to a second more than it is told.
  const told = Math.max(seconds - 1, 1)
  if (!allowed) return `max-age=${told}${staleIfError}`
  const fresh = Math.ceil(told / 2)
  if (!edge.isStaleAllowed || told === fresh) return `max-age=${told}${staleIfError}`
  return `max-age=${fresh}, stale-while-revalidate=${told - fresh}${staleIfError}`
}
