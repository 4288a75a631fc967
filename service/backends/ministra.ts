import { createAstraBackend } from './astra.js'
import type { Backend } from './backend.js'
import type { Exchange } from './exchange.js'

/**
 * Ministra (Stalker) portal 5: its temporary links, given for Flussonic. A token dies 5 s after it was made
 * (`tv_tmp_link_ttl`), so it can be asked about only once. The name is the portal's X-UserId.
 *
 * @param url the portal, such as http://portal.example.com/stalker_portal
 */
export function createMinistraBackend(url: URL, exchange: Exchange): Backend {
  const dialect = {
    path: '/server/api/chk_flussonic_tmp_link.php',
    credentialParams: ['token'],
    recheckMs: 10 * 3_600_000,
    fallbackName: (header: (name: string) => string | undefined) => header('x-userid'),
  }
  return createAstraBackend(url, dialect, exchange)
}
