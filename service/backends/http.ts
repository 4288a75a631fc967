import { createAstraBackend } from './astra.js'
import type { Backend } from './backend.js'
import type { Exchange } from './exchange.js'

/** A script of the operator's own, as Cesbo Astra's "HTTP Backend" asks it: the address as given. */
export function createHttpBackend(url: URL, exchange: Exchange): Backend {
  return createAstraBackend(url, { path: '', credentialParams: undefined, recheckMs: 180_000 }, exchange)
}
