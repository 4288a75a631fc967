import type { Logger } from 'pino'

/** At most so often: what one viewer's player adds to a query, all of that kind add to each. */
const INTERVAL_MS = 3_600_000

const MOST_NAMES = 5

/** A name fit for a log. What is longer or odd may be a token that stands in a name's place. */
const PLAIN_NAME = /^[a-z_][\w.[\]-]{0,23}$/i

export interface UnreadQueryLogOptions {
  /** As the operator has set them; undefined: nothing is told. */
  readonly credentialParams: readonly string[] | undefined
  readonly log: Logger
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number
}

/**
 * Tells of queries in which there is no credential, now and then. Who comes without credentials belongs to his viewer's
 * session: were CREDENTIAL_PARAMS misspelt, a bad token would do no harm.
 */
export function createUnreadQueryLog(options: UnreadQueryLogOptions): (query: string) => void {
  const { credentialParams, log, now } = options
  if (credentialParams === undefined) return () => {}
  let quietUntilMs = -Infinity
  return (query) => {
    if (now() < quietUntilMs) return
    const seen = namesIn(query)
    if (seen.length === 0) return
    quietUntilMs = now() + INTERVAL_MS
    log.warn(
      { seen, credentialParams: credentialParams.join() },
      'a query has none of CREDENTIAL_PARAMS: it counts as one without a token',
    )
  }
}

/**
 * Names of a query's parameters, each once, as they may be shown: never a value, nor what may be one, in whose place `…`
 * stands.
 *
 * @returns none where there are only the directives of low-latency HLS, which players add by themselves
 */
export function namesIn(query: string): readonly string[] {
  const names = new Set<string>()
  for (const pair of query.split('&')) {
    if (pair === '' || pair.startsWith('_HLS_')) continue
    const [name = '', ...value] = pair.split('=')
    // Base64 ends with one or two `=`: without a value the name may be a token.
    names.add(PLAIN_NAME.test(name) && value.some((part) => part !== '') ? name : '…')
    if (names.size === MOST_NAMES) break
  }
  return [...names]
}
