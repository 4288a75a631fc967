import { createHash, timingSafeEqual } from 'node:crypto'
import { isLoopback } from '../config.js'

/** The headers by which a request to the admin interface is judged. */
export interface AdminRequest {
  readonly authorization: string | undefined
  readonly host: string | undefined
  readonly origin: string | undefined
  /** Sec-Fetch-Site and Sec-Fetch-Dest (https://www.w3.org/TR/fetch-metadata/), which browsers send by themselves. */
  readonly fetchSite: string | undefined
  readonly fetchDest: string | undefined
}

/**
 * Whether somebody may use the admin interface: with its token as Bearer (RFC 6750) or as the password of Basic (RFC
 * 7617), so that a browser asks for it; without a token from this machine alone.
 *
 * @returns undefined for yes, else the status
 */
export function refusalOf(request: AdminRequest, token: string | undefined): 401 | 403 | undefined {
  const { authorization = '', host = '', origin, fetchSite = 'none', fetchDest } = request
  // What a page of another site has a browser send. A link may lead here; images and scripts cannot read what comes,
  // but they would ask as often as that page likes.
  if (origin !== undefined && origin.replace(/^\w+:\/\//, '') !== host) return 403
  if (!['none', 'same-origin'].includes(fetchSite) && fetchDest !== 'document') return 403
  if (token === undefined) {
    // The same under a name that leads here by the other site's own doing (DNS rebinding).
    const name = host.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1')
    return isLoopback(name) ? undefined : 403
  }
  return isSame(tokenIn(authorization), token) ? undefined : 401
}

function tokenIn(authorization: string): string {
  const [, scheme, value] = /^(bearer|basic) +(\S+)$/i.exec(authorization) ?? []
  if (scheme === undefined || value === undefined) return ''
  if (scheme.toLowerCase() === 'bearer') return value
  return Buffer.from(value, 'base64')
    .toString('latin1')
    .replace(/^[^:]*:/, '')
}

/** In the same time wherever they differ. */
function isSame(one: string, other: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(one), digest(other))
}
