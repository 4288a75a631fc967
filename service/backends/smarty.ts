import { createAstraBackend } from './astra.js'
import type { Backend } from './backend.js'
import type { Exchange } from './exchange.js'

/**
 * Microimpulse Smarty. Its tokens work once: asked again, it refuses a paying viewer, so an allow holds for as
 * long as the session unless the middleware says otherwise.
 *
 * @param url the middleware, such as http://smarty.example.com
 */
export function createSmartyBackend(url: URL, exchange: Exchange): Backend {
  const dialect = {
    path: '/tvmiddleware/api/streamservice/token/check/',
    credentialParams: ['token'],
    recheckMs: Infinity,
  }
  return createAstraBackend(url, dialect, exchange)
}
