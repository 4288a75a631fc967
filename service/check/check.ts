import type { AccessRequest } from '../access-request.js'
import { createAuthorizer } from '../authorizer.js'
import type { DecisionEvent } from '../questions.js'
import { OWN_HEADERS, type Exchange, type Outcome } from '../backends/exchange.js'
import { GuardedBackend } from '../backends/guard/guarded-backend.js'
import { createBackend } from '../backends/index.js'
import { BlockList } from '../block-list.js'
import { channelOf, decodeCanonicalPath } from '../channel.js'
import type { Config } from '../config.js'
import type { Decision } from '../decision.js'
import { NO_ARCHIVE } from '../archive/session-archive.js'
import { SessionStore } from '../session-store.js'
import { credentialsIn } from '../session.js'

/** One question, as it went over the wire, and what came of it. */
export interface Exchanged {
  readonly origin: string
  /** Path and query. */
  readonly target: string
  readonly headers: Readonly<Record<string, string>>
  readonly outcome: Outcome
  readonly elapsedMs: number
  /** Whether the host's name had an address by then; an address is its own. */
  readonly isNameKnown: boolean
}

export interface CheckOptions {
  /** For the question. Closed at the end, as is the other one. */
  readonly exchange: Exchange
  /** For a question about nobody, where there is no answer to that one. */
  readonly ownExchange: Exchange
  /** Finds the addresses of a name, or fails. What it finds is not used: a question looks its host up by itself. */
  readonly lookup: (hostname: string) => Promise<unknown>
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number
}

/** All that a check has found out. Holds credentials: only explain.ts knows what of it may be shown. */
export interface Finding {
  readonly config: Config
  readonly request: AccessRequest
  /** undefined where the path is too long or not in normal form */
  readonly decodedPath: string | undefined
  /** undefined where the path belongs to none */
  readonly channelId: string | undefined
  readonly credentials: string
  /** The parameters that the backend judges; undefined for the whole query. */
  readonly credentialParams: readonly string[] | undefined
  /** How long an admission holds for which the backend does not say. */
  readonly recheckMs: number
  /** What was asked and decided; undefined where the path was refused without a question. */
  readonly asked: { readonly exchanged: Exchanged; readonly event: DecisionEvent } | undefined
  readonly decision: Decision
}

/** Has the service's own authorizer decide about one request, with nothing remembered before it and nothing after it. */
export async function check(
  request: AccessRequest,
  config: Config,
  { exchange, ownExchange, lookup, now }: CheckOptions,
): Promise<Finding> {
  let exchanged: Exchanged | undefined
  let event: DecisionEvent | undefined
  const recording: Exchange = {
    async get(origin, target, headers, onReleased) {
      const startedAtMs = now()
      let isNameKnown = false
      const name = new URL(origin).hostname.replace(/^\[(.*)\]$/, '$1')
      void lookup(name).then(
        () => (isNameKnown = true),
        () => {},
      )
      const outcome = await exchange.get(origin, target, headers, onReleased)
      exchanged = {
        origin,
        target,
        headers: { ...OWN_HEADERS, ...headers },
        outcome,
        elapsedMs: now() - startedAtMs,
        isNameKnown,
      }
      return outcome
    },
    close: () => exchange.close(),
  }
  const backend = new GuardedBackend({
    backend: createBackend(config.backendType, config.backendUrl, recording),
    ownBackend: createBackend(config.backendType, config.backendUrl, ownExchange),
    timeoutMs: config.backendTimeoutMs,
    slowMs: 0,
    isAskedAgain: false,
    mostQuestions: 1,
    learnt: undefined,
    onLearnt() {},
    onDown() {},
    onUp() {},
    now,
    random: () => 0,
  })
  const authorizer = createAuthorizer({
    ...config,
    backend,
    store: new SessionStore({
      idleMs: config.sessionIdleMs,
      denialMs: config.sessionIdleMs,
      maxSessions: 1,
      maxDenials: 2,
      now,
      archive: NO_ARCHIVE,
    }),
    blocks: new BlockList(now, NO_ARCHIVE),
    now,
    random: () => 0,
    onDecision: (made) => (event = made),
    onCrowd() {},
    onUnreadQuery() {},
    onError() {},
  })
  try {
    const decision = await authorizer.authorize(request)
    const credentialParams = config.credentialParams ?? backend.credentialParams
    const decodedPath = decodeCanonicalPath(request.path)
    return {
      config,
      request,
      decodedPath,
      channelId: decodedPath === undefined ? undefined : channelOf(decodedPath, config.channelPattern)?.id,
      credentials: credentialsIn(request.query, credentialParams),
      credentialParams,
      recheckMs: config.sessionRecheckMs ?? backend.recheckMs,
      asked: exchanged && event && { exchanged, event },
      decision,
    }
  } finally {
    await backend.close()
  }
}
