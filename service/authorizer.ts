import { randomBytes } from 'node:crypto'
import type { AccessRequest } from './access-request.js'
import type { Backend } from './backends/backend.js'
import { channelOf, decodeCanonicalPath } from './channel.js'
import {
  judge,
  type Answer,
  type Decision,
  type Refusal,
  type Verdict,
  type WhenBackendDown,
} from './decision.js'
import {
  RECHECK_RETRY_MS,
  credentialsIn,
  recheckAfterMs,
  sessionKeyOf,
  viewerKeyOf,
  type Session,
} from './session.js'
import type { SessionStore } from './session-store.js'

/** One decision that was newly made, for the log. Holds no credentials. */
export interface DecisionEvent {
  readonly session: Pick<Session, 'id' | 'channelId' | 'name'>
  readonly clientIp: string
  readonly verdict: Verdict
  readonly answer: Answer
  readonly isRecheck: boolean
  /** How long the backend took. */
  readonly elapsedMs: number
}

export interface AuthorizerOptions {
  readonly backend: Backend
  readonly store: SessionStore
  readonly whenBackendDown: WhenBackendDown
  readonly channelPattern: RegExp
  /** undefined: the backend's own. */
  readonly credentialParams: readonly string[] | undefined
  readonly tokenlessRequests: 'session' | 'backend'
  /** undefined: the backend's own. */
  readonly sessionRecheckMs: number | undefined
  readonly denyTtlMs: number
  /** Milliseconds of a clock that never goes back; the store's clock. */
  readonly now: () => number
  readonly onDecision: (event: DecisionEvent) => void
  /** A bug in a re-check, of which no viewer hears: the session stays as it was. */
  readonly onError: (error: Error) => void
}

export interface Authorizer {
  /** Decides about one request: at once where the answer is remembered. Never rejects unless there is a bug. */
  authorize(request: AccessRequest): Decision | Promise<Decision>
  /** How many questions wait for the backend. */
  readonly questionsInFlight: number
}

/** The straight line from a request to a decision: path, channel, session; remembered, or asked once. */
export function createAuthorizer(options: AuthorizerOptions): Authorizer {
  const { backend, store, now } = options
  const credentialParams = options.credentialParams ?? backend.credentialParams
  const recheckMs = options.sessionRecheckMs ?? backend.recheckMs
  // Apart from what is remembered: a question in flight is no decision yet.
  const questions = new Map<string, Promise<Decision>>()

  function authorize(request: AccessRequest): Decision | Promise<Decision> {
    const path = decodeCanonicalPath(request.path)
    const channelId = path === undefined ? undefined : channelOf(path, options.channelPattern)
    if (channelId === undefined) return refuse(403, undefined)

    const viewerKey = viewerKeyOf(request, channelId)
    const credentials = credentialsIn(request.query, credentialParams)
    const key = sessionKeyOf(viewerKey, credentials)

    const isTokenless = credentials === '' && options.tokenlessRequests === 'session'
    const session = isTokenless ? store.newestSession(viewerKey) : store.session(key)
    if (session !== undefined) {
      if (now() >= session.recheckAtMs) askOnce(session.key, () => recheck(session)).catch(options.onError)
      return admit(session)
    }

    const denial = store.denial(key)
    if (denial !== undefined && now() < denial.freshUntilMs) return refuse(denial.refusal, channelId)
    return askOnce(key, () => open(request, channelId, viewerKey, key, denial?.refusal))
  }

  /** However many requests wait for an answer about one session, the backend is asked one question. */
  function askOnce(key: string, question: () => Promise<Decision>): Promise<Decision> {
    const asked = questions.get(key)
    if (asked !== undefined) return asked
    const decision = question().finally(() => questions.delete(key))
    questions.set(key, decision)
    return decision
  }

  async function open(
    request: AccessRequest,
    channelId: string,
    viewerKey: string,
    key: string,
    known: Refusal | undefined,
  ): Promise<Decision> {
    const startedAtMs = now()
    const session: Session = {
      key,
      viewerKey,
      id: randomBytes(16).toString('hex'),
      channelId,
      request,
      openedAtMs: startedAtMs,
      name: '',
      source: 'open-door',
      lastSeenAtMs: startedAtMs,
      recheckAtMs: 0,
    }
    const answer = await ask(session)
    const verdict = judge(answer, known, options.whenBackendDown)
    learn(session, answer)
    report(session, verdict, answer, startedAtMs, false)
    if (verdict.allow) {
      session.lastSeenAtMs = now()
      store.open(session)
      return admit(session)
    }
    // What the closed door refuses is no decision of the backend's: the next request asks again.
    if (verdict.source !== 'closed-door') rememberDenial(key, verdict.refusal)
    return refuse(verdict.refusal, channelId)
  }

  async function recheck(session: Session): Promise<Decision> {
    const startedAtMs = now()
    const answer = await ask(session)
    const verdict = judge(answer, 'allow', options.whenBackendDown)
    learn(session, answer)
    report(session, verdict, answer, startedAtMs, true)
    if (verdict.allow) return admit(session)
    store.close(session)
    rememberDenial(session.key, verdict.refusal)
    return refuse(verdict.refusal, session.channelId)
  }

  function ask({ id, channelId, request }: Session): Promise<Answer> {
    return backend.ask({ sessionId: id, channelId, ...request })
  }

  /** Takes over what an answer says about a session. One without a decision leaves its name and source alone. */
  function learn(session: Session, answer: Answer): void {
    if (answer.outcome === 'allow') {
      session.name = answer.name
      session.source = 'backend'
      session.recheckAtMs = now() + recheckAfterMs(answer.authDurationMs, recheckMs)
    } else {
      session.recheckAtMs = now() + RECHECK_RETRY_MS
    }
  }

  function rememberDenial(key: string, refusal: Refusal): void {
    store.deny(key, { refusal, freshUntilMs: now() + options.denyTtlMs })
  }

  function report(
    session: Session,
    verdict: Verdict,
    answer: Answer,
    startedAtMs: number,
    isRecheck: boolean,
  ): void {
    const { clientIp } = session.request
    options.onDecision({ session, clientIp, verdict, answer, isRecheck, elapsedMs: now() - startedAtMs })
  }

  return {
    authorize,
    get questionsInFlight() {
      return questions.size
    },
  }
}

function admit({ id, name, channelId }: Session): Decision {
  return { allowed: true, sessionId: id, sessionName: name, channelId }
}

function refuse(refusal: Refusal, channelId: string | undefined): Decision {
  return { allowed: false, refusal, channelId }
}
