import type { AccessRequest } from './access-request.js'

/**
 * One viewer on one channel, admitted. Times are milliseconds of the service's monotonic clock. There may be a million:
 * what the key says is read from it when it is needed, and not kept a second time.
 */
export interface Session {
  readonly key: string
  readonly viewerKey: string
  /** Unguessable, the same for the session's whole life; sent to the backend as X-Session-ID. */
  readonly id: string
  /** Target of the request that opened the session: re-checks ask about the same. */
  readonly path: string
  readonly query: string
  readonly openedAtMs: number
  /** Header bytes; empty when the backend gave no name. */
  name: string
  /** `open-door` until a backend has decided about it. */
  source: 'backend' | 'open-door'
  lastSeenAtMs: number
  /** Infinity for never. */
  recheckAtMs: number
  /** Re-checks in a row that found the backend unavailable. */
  failedChecks: number
  /** When its time of last request was last written down. */
  archivedAtMs: number
}

/** Everything that a decision depends on. */
export interface SessionParts {
  readonly host: string
  readonly channelId: string
  readonly clientIp: string
  readonly userAgent: string
  /** Empty for none. */
  readonly credentials: string
}

/** Shortest and longest time between two questions about one session, whatever a backend asks for. */
export const MIN_RECHECK_MS = 10_000
export const MAX_RECHECK_MS = 24 * 3_600_000

/** Time until a re-check that found the backend unavailable is tried again: first, and at most. */
const RETRY_MS = { decided: 10_000, undecided: 1_000, most: 300_000 }

/**
 * Identifies a session. Lengths stand before the parts, so that two different tuples never give one key, whatever
 * bytes a viewer puts into a part.
 */
export function sessionKeyOf({ host, channelId, clientIp, userAgent, credentials }: SessionParts): string {
  const lengths = `${host.length},${channelId.length},${clientIp.length},${userAgent.length}`
  return `${lengths} ${host}${channelId}${clientIp}${userAgent}${credentials}`
}

/** Who watches what from where, credentials apart: the key of the same viewer without any. */
export function viewerKeyOf(key: string, credentials: string): string {
  // A slice of a long string shares its memory.
  return key.slice(0, key.length - credentials.length)
}

/** Identifies one request of a session. No session has such a key: theirs begin with a length. */
export function requestKeyOf(key: string, { path, query }: AccessRequest): string {
  return `request ${path.length},${query.length} ${path}${query}${key}`
}

/** What {@link sessionKeyOf} made a key of. */
export function partsOf(key: string): SessionParts {
  let at = key.indexOf(' ') + 1
  const [host, channelId, clientIp, userAgent] = key
    .slice(0, at - 1)
    .split(',')
    .map((length) => key.slice(at, (at += Number(length)))) as [string, string, string, string]
  return { host, channelId, clientIp, userAgent, credentials: key.slice(at) }
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
 * How long to wait after a re-check that found the backend unavailable: twice as long each time, and up to half as much
 * again, so that not all are tried at once. A viewer about whom no backend has decided yet comes first, at any time.
 *
 * @param random from 0 to below 1
 */
export function retryAfterMs({ source, failedChecks }: Session, random: number): number {
  if (source === 'open-door') return Math.round(RETRY_MS.undecided * (1 + random / 2))
  const ms = Math.min(RETRY_MS.decided * 2 ** (failedChecks - 1), RETRY_MS.most)
  return Math.round(ms * (1 + random / 2))
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
