import { createAstraBackend } from './astra.js'
import type { Backend } from './backend.js'
import type { Exchange } from './exchange.js'

/**
 * IPTVportal, in the cloud or a local server: keys of ARESSTREAM, which are renewed once an hour, so that its
 * answer changes no more often.
 *
 * @param url the portal, such as https://go.iptvportal.ru
 */
export function createIptvportalBackend(url: URL, exchange: Exchange): Backend {
  const dialect = { path: '/auth/arescrypt/', credentialParams: undefined, recheckMs: 3_600_000 }
  return createAstraBackend(url, dialect, exchange)
}
