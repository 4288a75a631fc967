import type { AccessRequest } from './access-request.js'

/** One viewer on one channel, admitted. Times are milliseconds of the service's monotonic clock. */
export interface Session {
  readonly key: string
  readonly viewerKey: string
  /** Unguessable, the same for the session's whole life; sent to the backend as X-Session-ID. */
  readonly id: string
  readonly channelId: string
  /** The request that opened the session: re-checks ask with its query. */
  readonly request: AccessRequest
  readonly openedAtMs: number
  /** Header bytes; empty when the backend gave no name. */
  name: string
  /** `open-door` until a backend has decided about it. */
  source: 'backend' | 'open-door'
  lastSeenAtMs: number
  /** Infinity for never. */
  recheckAtMs: number
}

/** Shortest and longest time between two questions about one session, whatever a backend asks for. */
export const MIN_RECHECK_MS = 10_000
export const MAX_RECHECK_MS = 24 * 3_600_000

/** Time until a re-check that found the backend unavailable is tried again. */
export const RECHECK_RETRY_MS = 10_000

/**
 * Identifies who watches what from where, credentials apart. Lengths stand before the parts, so that two
 * different tuples never give one key, whatever bytes a viewer puts into a part.
 */
export function viewerKeyOf(request: AccessRequest, channelId: string): string {
  const { host, clientIp, userAgent } = request
  return `${host.length},${channelId.length},${clientIp.length} ${host}${channelId}${clientIp}${userAgent}`
}

/** Identifies a session: the viewer's key and the credentials, joined without ambiguity. */
export function sessionKeyOf(viewerKey: string, credentials: string): string {
  return `${viewerKey.length} ${viewerKey}${credentials}`
}

/**
 * The part of a query that the backend judges, byte for byte and in the viewer's order.
 *
 * @param params names of the query's credentials; undefined: all of it but the directives of low-latency HLS
 *   (`_HLS_*`, draft-pantos-hls-rfc8216bis section 6.2.5), which players add by themselves
 * @returns empty when the query holds no credentials
 */
export function credentialsIn(query: string, params: readonly string[] | undefined): string {
  if (query === '') return ''
  if (params === undefined && !query.includes('_HLS_')) return query
  const isCredential = (name: string) =>
    params === undefined ? !name.startsWith('_HLS_') : params.includes(name)
  return query
    .split('&')
    .filter((pair) => isCredential(decodedName(pair)))
    .join('&')
}

// Backends read parameter names decoded, so `%74oken` is `token` here too.
function decodedName(pair: string): string {
  const end = pair.indexOf('=')
  const name = (end < 0 ? pair : pair.slice(0, end)).replaceAll('+', ' ')
  try {
    return decodeURIComponent(name)
  } catch {
    return name
  }
}

/**
 * How long an allow holds before the backend is asked again: what the backend said, else the default, held
 * between {@link MIN_RECHECK_MS} and {@link MAX_RECHECK_MS}.
 *
 * @param defaultMs Infinity for never
 */
export function recheckAfterMs(authDurationMs: number | undefined, defaultMs: number): number {
  const ms = authDurationMs ?? defaultMs
  return ms === Infinity ? Infinity : Math.min(Math.max(ms, MIN_RECHECK_MS), MAX_RECHECK_MS)
}
