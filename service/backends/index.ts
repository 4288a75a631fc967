import type { BackendType } from '../config.js'
import type { Backend } from './backend.js'
import type { Exchange } from './exchange.js'
import { createHttpBackend } from './http.js'
import { createIptvportalBackend } from './iptvportal.js'
import { createMinistraBackend } from './ministra.js'
import { createSmartyBackend } from './smarty.js'

/**
 * The adapter for a backend's type. A new one is a file beside these, a case here and a name in config.ts.
 *
 * @param exchange the adapter's own from now on: it is closed with it
 */
export function createBackend(type: BackendType, url: URL, exchange: Exchange): Backend {
  switch (type) {
    case 'http':
      return createHttpBackend(url, exchange)
    case 'ministra':
      return createMinistraBackend(url, exchange)
    case 'iptvportal':
      return createIptvportalBackend(url, exchange)
    case 'smarty':
      return createSmartyBackend(url, exchange)
  }
}
