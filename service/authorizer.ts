import { randomBytes } from 'node:crypto'
import type { AccessRequest } from './access-request.js'
import type { Backend } from './backends/backend.js'
import { channelOf, decodeCanonicalPath } from './channel.js'
import {
  isAboutRequest,
  judge,
  type Answer,
  type Decision,
  type EdgeLife,
  type Refusal,
  type Verdict,
  type WhenBackendDown,
} from './decision.js'
import {
  RECHECK_RETRY_MS,
  credentialsIn,
  partsOf,
  recheckAfterMs,
  requestKeyOf,
  sessionKeyOf,
  viewerKeyOf,
  type Session,
} from './session.js'
import type { Denial } from './denial-memory.js'
import type { SessionStore } from './session-store.js'

/** One decision that was newly made, for the log. Holds no credentials. */
export interface DecisionEvent {
  readonly session: Pick<Session, 'id' | 'name'>
  readonly channelId: string
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
  /** 0 for an edge that repeats nothing. */
  readonly edgeTtlMs: number
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

const NOT_AT_THE_EDGE: EdgeLife = { freshMs: 0, isStaleAllowed: false }

/** How long nginx may repeat an admission that no backend has decided. */
const UNDECIDED_EDGE_MS = 2_000

/** An admission so long before a question still shows that the backend is not down. */
const SERVING_MS = 1_000

/** What a request is about. */
interface Place {
  readonly channelId: string
  readonly key: string
  readonly credentials: string
  /** Without credentials, and therefore its viewer's newest session's, where there is one. */
  readonly isTokenless: boolean
}

/** The straight line from a request to a decision: path, channel, session; remembered, or asked once. */
export function createAuthorizer(options: AuthorizerOptions): Authorizer {
  const { backend, store, now } = options
  const credentialParams = options.credentialParams ?? backend.credentialParams
  const recheckMs = options.sessionRecheckMs ?? backend.recheckMs
  // Apart from what is remembered: a question in flight is no decision yet.
  const questions = new Map<string, Promise<Decision>>()
  let lastAdmitted: readonly { readonly clientIp: string; readonly atMs: number }[] = []

  function authorize(request: AccessRequest): Decision | Promise<Decision> {
    const path = decodeCanonicalPath(request.path)
    const channel = path === undefined ? undefined : channelOf(path, options.channelPattern)
    if (channel === undefined) return refuse(403, undefined, NOT_AT_THE_EDGE)

    const { host, clientIp, userAgent } = request
    const channelId = channel.id
    const credentials = credentialsIn(request.query, credentialParams)
    const key = sessionKeyOf({ host, channelId, clientIp, userAgent, credentials })

    const isTokenless = credentials === '' && options.tokenlessRequests === 'session'
    const decision = decide(request, { channelId, key, credentials, isTokenless })
    if (channel.isWholeFolder) return decision
    return decision instanceof Promise ? decision.then(keepFromEdge) : keepFromEdge(decision)
  }

  /** What is remembered, or what the backend says now. */
  function decide(request: AccessRequest, place: Place): Decision | Promise<Decision> {
    const { key, channelId } = place
    // Without credentials the key is the viewer's own.
    const session = place.isTokenless ? store.newestSession(key) : store.session(key)
    if (session !== undefined) {
      if (now() >= session.recheckAtMs) askOnce(session.key, () => recheck(session)).catch(options.onError)
      return admit(session, channelId)
    }

    const denial = store.denial(key)
    if (denial !== undefined && now() < denial.freshUntilMs) return refuseAt(place, denial)
    const unreadable = store.denial(requestKeyOf(key, request))
    if (unreadable !== undefined && now() < unreadable.freshUntilMs)
      return refuse(unreadable.refusal, channelId, NOT_AT_THE_EDGE)
    return askOnce(key, () => open(request, place, denial?.refusal))
  }

  /** However many requests wait for an answer about one session, the backend is asked one question. */
  function askOnce(key: string, question: () => Promise<Decision>): Promise<Decision> {
    const asked = questions.get(key)
    if (asked !== undefined) return asked
    const decision = question().finally(() => questions.delete(key))
    questions.set(key, decision)
    return decision
  }

  async function open(request: AccessRequest, place: Place, known: Refusal | undefined): Promise<Decision> {
    const startedAtMs = now()
    const session: Session = {
      key: place.key,
      viewerKey: viewerKeyOf(place.key, place.credentials),
      id: randomBytes(16).toString('hex'),
      path: request.path,
      query: request.query,
      openedAtMs: startedAtMs,
      name: '',
      source: 'open-door',
      lastSeenAtMs: startedAtMs,
      recheckAtMs: 0,
    }
    const answer = await ask(session)
    const verdict = judge(
      answer,
      known,
      options.whenBackendDown,
      isServingOthers(request.clientIp, startedAtMs),
    )
    learn(session, answer)
    report(session, verdict, answer, startedAtMs, false)
    if (verdict.allow) {
      session.lastSeenAtMs = now()
      store.open(session)
      return admit(session, place.channelId)
    }
    // What is refused without the backend's word is not remembered: the next request asks again.
    if (verdict.source === 'closed-door' || verdict.source === 'single-failure')
      return refuse(verdict.refusal, place.channelId, NOT_AT_THE_EDGE)
    if (verdict.source === 'backend' && isAboutRequest(answer)) {
      rememberDenial(requestKeyOf(place.key, request), verdict.refusal)
      return refuse(verdict.refusal, place.channelId, NOT_AT_THE_EDGE)
    }
    return refuseAt(place, rememberDenial(place.key, verdict.refusal))
  }

  async function recheck(session: Session): Promise<Decision> {
    const startedAtMs = now()
    const answer = await ask(session)
    const verdict = judge(answer, 'allow', options.whenBackendDown, false)
    learn(session, answer)
    report(session, verdict, answer, startedAtMs, true)
    const { channelId } = partsOf(session.key)
    if (verdict.allow) return admit(session, channelId)
    store.close(session)
    rememberDenial(session.key, verdict.refusal)
    return refuse(verdict.refusal, channelId, NOT_AT_THE_EDGE)
  }

  /** Whether somebody at another address was admitted while this question was asked, or just before. */
  function isServingOthers(clientIp: string, startedAtMs: number): boolean {
    return lastAdmitted.some((one) => one.clientIp !== clientIp && one.atMs >= startedAtMs - SERVING_MS)
  }

  /** nginx may repeat an admission until the re-check at most, and without a backend's word not for long. */
  function admit({ id, name, source, recheckAtMs }: Session, channelId: string): Decision {
    const isDecided = source === 'backend'
    const freshMs = Math.min(options.edgeTtlMs, isDecided ? recheckAtMs - now() : UNDECIDED_EDGE_MS)
    const edge = { freshMs, isStaleAllowed: isDecided }
    return { allowed: true, sessionId: id, sessionName: name, channelId, edge }
  }

  /**
   * nginx may repeat a refusal as long as the service would, unless it came without credentials: it would then also
   * reach the segments of a viewer behind the same address who is admitted the next moment.
   */
  function refuseAt({ channelId, isTokenless }: Place, { refusal, freshUntilMs }: Denial): Decision {
    if (isTokenless) return refuse(refusal, channelId, NOT_AT_THE_EDGE)
    const freshMs = Math.min(options.edgeTtlMs, freshUntilMs - now())
    return refuse(refusal, channelId, { freshMs, isStaleAllowed: true })
  }

  function ask({ id, key, path, query }: Session): Promise<Answer> {
    return backend.ask({ sessionId: id, path, query, ...partsOf(key) })
  }

  /** Takes over what an answer says about a session. One without a decision leaves its name and source alone. */
  function learn(session: Session, answer: Answer): void {
    if (answer.outcome === 'allow') {
      noteAdmitted(partsOf(session.key).clientIp)
      session.name = answer.name
      session.source = 'backend'
      session.recheckAtMs = now() + recheckAfterMs(answer.authDurationMs, recheckMs)
    } else {
      session.recheckAtMs = now() + RECHECK_RETRY_MS
    }
  }

  /** Keeps the last admission at each of two addresses: one of them is not the asker's. */
  function noteAdmitted(clientIp: string): void {
    lastAdmitted = [
      { clientIp, atMs: now() },
      ...lastAdmitted.filter((one) => one.clientIp !== clientIp),
    ].slice(0, 2)
  }

  function rememberDenial(key: string, refusal: Refusal): Denial {
    const denial = { refusal, freshUntilMs: now() + options.denyTtlMs }
    store.deny(key, denial)
    return denial
  }

  function report(
    session: Session,
    verdict: Verdict,
    answer: Answer,
    startedAtMs: number,
    isRecheck: boolean,
  ): void {
    const { channelId, clientIp } = partsOf(session.key)
    const elapsedMs = now() - startedAtMs
    options.onDecision({ session, channelId, clientIp, verdict, answer, isRecheck, elapsedMs })
  }

  return {
    authorize,
    get questionsInFlight() {
      return questions.size
    },
  }
}

function refuse(refusal: Refusal, channelId: string | undefined, edge: EdgeLife): Decision {
  return { allowed: false, refusal, channelId, edge }
}

/** Where a file's name is part of what was decided, nginx, which remembers by folder, must not remember. */
function keepFromEdge(decision: Decision): Decision {
  return { ...decision, edge: NOT_AT_THE_EDGE }
}
