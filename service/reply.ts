import type { Decision } from './decision.js'
import { headerFromText } from './header-text.js'

/** Status and headers of a reply to `auth_request`. */
export interface Reply {
  readonly status: 200 | 401 | 403
  readonly headers: Readonly<Record<string, string>>
}

/**
 * A decision as nginx reads it. `Content-Length: 0` is what keeps nginx's connection to the service: a reply
 * without it goes out chunked, and nginx then opens a new connection for each request.
 */
export function replyTo(decision: Decision): Reply {
  const headers: Record<string, string> = { 'Content-Length': '0', 'Cache-Control': 'no-store' }
  if (decision.channelId !== undefined) headers['X-Channel-ID'] = headerFromText(decision.channelId)
  if (!decision.allowed) return { status: decision.refusal, headers }
  headers['X-Session-ID'] = decision.sessionId
  if (decision.sessionName !== '') headers['X-Session-Name'] = decision.sessionName
  return { status: 200, headers }
}
