import { isIP } from 'node:net'

/** What nginx tells of one request of a viewer. Strings hold raw bytes, one character each, as in a header. */
export interface AccessRequest {
  /** Host as nginx matched it (`$host`): lower case, no port. */
  readonly host: string
  /** Request target up to the first `?`, undecoded. */
  readonly path: string
  /** Request target after the first `?`, undecoded; empty for none. */
  readonly query: string
  readonly clientIp: string
  /** Empty when the viewer sent none. */
  readonly userAgent: string
}

/** Header names as Node gives them: lower case. */
export type RequestHeaders = Readonly<Record<string, string | string[] | undefined>>

/**
 * Reads the four headers that `nginx/hls-auth/location.conf` sends: X-Original-URI (`$request_uri`),
 * X-Real-Host (`$host`), X-Real-IP (`$remote_addr`) and X-Real-UA (`$http_user_agent`).
 *
 * @returns undefined when nginx did not send what it should: its configuration is not ours
 */
export function parseAccessRequest(headers: RequestHeaders): AccessRequest | undefined {
  const uri = headers['x-original-uri']
  const host = headers['x-real-host'] ?? ''
  const clientIp = headers['x-real-ip']
  const userAgent = headers['x-real-ua'] ?? ''
  if (typeof uri !== 'string' || typeof host !== 'string' || typeof userAgent !== 'string') return undefined
  if (typeof clientIp !== 'string' || isIP(clientIp) === 0) return undefined
  const mark = uri.indexOf('?')
  return mark < 0
    ? { host, path: uri, query: '', clientIp, userAgent }
    : { host, path: uri.slice(0, mark), query: uri.slice(mark + 1), clientIp, userAgent }
}
