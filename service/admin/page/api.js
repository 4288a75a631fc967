// @ts-check
/** What the service answers; the only file that asks it. */

/** Longest wait for an answer. */
const PATIENCE_MS = 10_000

/** There is an answer, but not what was asked for. Its sentence is English, so that the page has its own. */
export class Refusal extends Error {
  /** @param {number} status */
  constructor(status) {
    super()
    this.status = status
  }
}

/** How far the service's clock is ahead of this one. Both are read to the second, which is as exact as is shown. */
let aheadMs = 0

/** The service's time. Its own clock may be wrong, but the times that it tells are by the same clock. */
export const serviceNow = () => Date.now() + aheadMs

/**
 * @param {string} path
 * @param {RequestInit} [options]
 * @returns {Promise<any>} the parsed answer
 * @throws {Refusal} and whatever fetch throws when nobody answers
 */
export async function ask(path, options = {}) {
  const late = AbortSignal.timeout(PATIENCE_MS)
  const signal = options.signal ? AbortSignal.any([options.signal, late]) : late
  const response = await fetch(path, { cache: 'no-store', ...options, signal })
  const date = Date.parse(response.headers.get('date') ?? '')
  // A header without milliseconds is half a second behind on average.
  if (!Number.isNaN(date)) aheadMs = Math.abs(date - Date.now()) < 2000 ? 0 : date + 500 - Date.now()
  if (response.ok) return response.json()
  throw new Refusal(response.status)
}
