import { randomBytes } from 'node:crypto'
import type { AccessRequest } from './access-request.js'
import type { Backend } from './backends/backend.js'
import type { Breaker } from './breaker.js'
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
  credentialsIn,
  partsOf,
  recheckAfterMs,
  requestKeyOf,
  retryAfterMs,
  sessionKeyOf,
  viewerKeyOf,
  type Session,
} from './session.js'
import type { BlockList } from './block-list.js'
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
  /** Whether its viewer came in through the open door, and nobody had decided about him until now. */
  readonly wasUndecided: boolean
  /** How long the backend took. */
  readonly elapsedMs: number
}

export interface AuthorizerOptions {
  readonly backend: Backend
  readonly breaker: Breaker
  readonly store: SessionStore
  readonly blocks: BlockList
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
  /** From 0 to below 1: spreads what would otherwise be asked all at once. */
  readonly random: () => number
  readonly onDecision: (event: DecisionEvent) => void
  /** Somebody was refused because too many questions about his address are in flight. */
  readonly onCrowd: (clientIp: string) => void
  /** A bug in a re-check, of which no viewer hears: the session stays as it was. */
  readonly onError: (error: Error) => void
}

export interface Authorizer {
  /** Decides about one request: at once where the answer is remembered. Never rejects unless there is a bug. */
  authorize(request: AccessRequest): Decision | Promise<Decision>
  /**
   * Asks about viewers who came in through the open door: while the backend is down about one a second, which finds out
   * whether it is back; then about all of them, as long as fewer than `most` questions are in flight. To be called now
   * and then.
   */
  checkUndecided(most: number): void
  /**
   * Closes a session because an operator says so. Its next request that gets here is refused; afterwards its viewer may
   * try again, unless he is blocked for `blockMs`: then no token of his lets him in before that, and his other sessions
   * on the channel are for the caller to close.
   *
   * @param blockMs 0 for no block
   */
  close(session: Session, blockMs: number): void
  /** How many questions wait for the backend. */
  readonly questionsInFlight: number
}

/** What the breaker answers in the backend's place. */
const NOT_ASKED: Answer = { outcome: 'unavailable', failure: 'breaker', status: undefined }

const NOT_AT_THE_EDGE: EdgeLife = { freshMs: 0, isStaleAllowed: false }

/** How long nginx may repeat an admission that no backend has decided. */
const UNDECIDED_EDGE_MS = 2_000

/** Most viewers who are asked about by themselves; others are when their next request comes. */
const MAX_UNDECIDED = 10_000

/** What a request is about. */
interface Place {
  readonly channelId: string
  readonly key: string
  readonly credentials: string
  /** Without credentials, and therefore its viewer's newest session's, where there is one. */
  readonly isTokenless: boolean
}

type Admission = Decision & { allowed: true }
type Rejection = Decision & { allowed: false }

/** The straight line from a request to a decision: path, channel, session; remembered, or asked once. */
export function createAuthorizer(options: AuthorizerOptions): Authorizer {
  const { backend, breaker, store, blocks, now } = options
  const credentialParams = options.credentialParams ?? backend.credentialParams
  const recheckMs = options.sessionRecheckMs ?? backend.recheckMs
  // Apart from what is remembered: a question in flight is no decision yet.
  const questions = new Map<string, Promise<Decision>>()
  const undecided = new Set<Session>()

  function authorize(request: AccessRequest): Decision | Promise<Decision> {
    const path = decodeCanonicalPath(request.path)
    const channel = path === undefined ? undefined : channelOf(path, options.channelPattern)
    if (channel === undefined) return refuse(403, 'path', undefined, NOT_AT_THE_EDGE)

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
    const blocked = refuseBlocked(place)
    if (blocked !== undefined) return blocked
    // Without credentials the key is the viewer's own.
    const session = place.isTokenless ? store.newestSession(key) : store.session(key)
    if (session !== undefined) return admitKnown(session, channelId)

    const denial = store.denial(key)
    if (denial !== undefined && now() < denial.freshUntilMs) return refuseAt(place, 'remembered', denial)
    const unreadable = store.denial(requestKeyOf(key, request))
    if (unreadable !== undefined && now() < unreadable.freshUntilMs)
      return refuse(unreadable.refusal, 'remembered', channelId, NOT_AT_THE_EDGE)
    const others = place.isTokenless ? store.recallNewest(key) : store.recall(key)
    if (others !== undefined) return admitKnown(others, channelId)
    if (breaker.isOpen) return decideUnasked(request, place, denial?.refusal)
    // Not remembered: the next request asks again.
    if (!questions.has(key) && breaker.isCrowded(request.clientIp)) {
      options.onCrowd(request.clientIp)
      return refuse(denial?.refusal ?? 403, 'crowd', channelId, NOT_AT_THE_EDGE)
    }
    return askOnce(key, () => open(request, place, denial?.refusal))
  }

  function refuseBlocked({ key, channelId, credentials }: Place): Decision | undefined {
    if (blocks.size === 0) return undefined
    const untilMs = blocks.untilMs(viewerKeyOf(key, credentials))
    if (untilMs === undefined) return undefined
    const freshMs = Math.min(options.edgeTtlMs, untilMs - now())
    return refuse(403, 'blocked', channelId, { freshMs, isStaleAllowed: true })
  }

  function admitKnown(session: Session, channelId: string): Decision {
    if (now() >= session.recheckAtMs && !questions.has(session.key) && mayAsk(session)) {
      askOnce(session.key, () => recheck(session)).catch(options.onError)
    }
    return admit(session, 'remembered', channelId)
  }

  /** While the backend is down nobody waits for it: who asks for its recovery's sake has his decision already. */
  function decideUnasked(request: AccessRequest, place: Place, known: Refusal | undefined): Decision {
    const session = newSession(request, place)
    const decision = conclude(session, request, place, known, NOT_ASKED)
    if (decision.allowed) session.recheckAtMs = now()
    else if (!questions.has(place.key) && breaker.mayAsk(request.clientIp)) {
      askOnce(place.key, () => open(request, place, known)).catch(options.onError)
    }
    return decision
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
    const session = newSession(request, place)
    return conclude(session, request, place, known, await ask(session))
  }

  function newSession({ path, query }: AccessRequest, { key, credentials }: Place): Session {
    return {
      key,
      viewerKey: viewerKeyOf(key, credentials),
      id: randomBytes(16).toString('hex'),
      path,
      query,
      openedAtMs: now(),
      name: '',
      source: 'open-door',
      lastSeenAtMs: now(),
      recheckAtMs: 0,
      failedChecks: 0,
      archivedAtMs: now(),
    }
  }

  /** What follows from an answer about a viewer of whom nothing, or a refusal, is known. */
  function conclude(
    session: Session,
    request: AccessRequest,
    place: Place,
    known: Refusal | undefined,
    answer: Answer,
  ): Decision {
    const { openedAtMs } = session
    const verdict = judge(
      answer,
      known,
      options.whenBackendDown,
      breaker.isServingOthers(request.clientIp, openedAtMs),
    )
    learn(session, answer)
    report(session, verdict, answer, openedAtMs, { isRecheck: false, wasUndecided: false })
    if (verdict.allow) {
      // An operator may have blocked him while the backend was asked.
      const blocked = refuseBlocked(place)
      if (blocked !== undefined) return blocked
      session.lastSeenAtMs = now()
      store.open(session)
      if (verdict.source === 'open-door' && undecided.size < MAX_UNDECIDED) undecided.add(session)
      return admit(session, verdict.source, place.channelId)
    }
    // What is refused without the backend's word is not remembered: the next request asks again.
    if (verdict.source === 'closed-door' || verdict.source === 'single-failure')
      return refuse(verdict.refusal, verdict.source, place.channelId, NOT_AT_THE_EDGE)
    if (verdict.source === 'backend' && isAboutRequest(answer)) {
      rememberDenial(requestKeyOf(place.key, request), verdict.refusal, options.denyTtlMs)
      return refuse(verdict.refusal, verdict.source, place.channelId, NOT_AT_THE_EDGE)
    }
    return refuseAt(place, verdict.source, rememberDenial(place.key, verdict.refusal, options.denyTtlMs))
  }

  async function recheck(session: Session): Promise<Decision> {
    const startedAtMs = now()
    const wasUndecided = session.source === 'open-door'
    const answer = await ask(session)
    const verdict = judge(answer, 'allow', options.whenBackendDown, false)
    learn(session, answer)
    report(session, verdict, answer, startedAtMs, { isRecheck: true, wasUndecided })
    const { channelId } = partsOf(session.key)
    if (verdict.source === 'backend') undecided.delete(session)
    if (verdict.allow) {
      store.changed(session)
      return admit(session, verdict.source, channelId)
    }
    // An operator may have closed it meanwhile.
    if (store.close(session, 'refused')) denySession(session, verdict.refusal, options.denyTtlMs)
    return refuse(verdict.refusal, verdict.source, channelId, NOT_AT_THE_EDGE)
  }

  function checkUndecided(most: number): void {
    let room = most - questions.size
    for (const session of undecided) {
      if (room <= 0 || !breaker.isAskable) return
      if (now() < session.recheckAtMs || questions.has(session.key)) continue
      if (!store.has(session)) {
        undecided.delete(session)
        continue
      }
      if (!mayAsk(session)) continue
      // Behind all others, should it be asked about again.
      undecided.delete(session)
      undecided.add(session)
      askOnce(session.key, () => recheck(session)).catch(options.onError)
      room--
    }
  }

  function close(session: Session, blockMs: number): void {
    if (blockMs > 0) blocks.add(session, now() + blockMs)
    store.close(session, 'operator')
    undecided.delete(session)
    // Twice as long as nginx may repeat the admission: what it asks then is refused.
    denySession(session, 403, options.denyTtlMs + 2 * options.edgeTtlMs)
  }

  /** nginx may repeat an admission until the re-check at most, and without a backend's word not for long. */
  function admit(session: Session, source: Admission['source'], channelId: string): Decision {
    const { id, name, recheckAtMs } = session
    const isDecided = session.source === 'backend'
    const freshMs = Math.min(options.edgeTtlMs, isDecided ? recheckAtMs - now() : UNDECIDED_EDGE_MS)
    const edge = { freshMs, isStaleAllowed: isDecided }
    return { allowed: true, source, sessionId: id, sessionName: name, channelId, edge }
  }

  /**
   * nginx may repeat a refusal as long as the service would, unless it came without credentials: it would then also
   * reach the segments of a viewer behind the same address who is admitted the next moment.
   */
  function refuseAt(place: Place, source: Rejection['source'], { refusal, freshUntilMs }: Denial): Decision {
    const { channelId, isTokenless } = place
    if (isTokenless) return refuse(refusal, source, channelId, NOT_AT_THE_EDGE)
    const freshMs = Math.min(options.edgeTtlMs, freshUntilMs - now())
    return refuse(refusal, source, channelId, { freshMs, isStaleAllowed: true })
  }

  function mayAsk({ key }: Session): boolean {
    return breaker.mayAsk(partsOf(key).clientIp)
  }

  function ask({ id, key, path, query }: Session): Promise<Answer> {
    const parts = partsOf(key)
    return breaker.watch(parts.clientIp, () => backend.ask({ sessionId: id, path, query, ...parts }))
  }

  /** Takes over what an answer says about a session. One without a decision leaves its name and source alone. */
  function learn(session: Session, answer: Answer): void {
    if (answer.outcome === 'allow') {
      session.name = answer.name
      session.source = 'backend'
      session.failedChecks = 0
      session.recheckAtMs = now() + recheckAfterMs(answer.authDurationMs, recheckMs)
    } else {
      session.failedChecks++
      session.recheckAtMs = now() + retryAfterMs(session, options.random())
    }
  }

  /** Also its segments, which come without a token; while their viewer has another session, they are that one's. */
  function denySession({ key, viewerKey }: Session, refusal: Refusal, freshMs: number): void {
    rememberDenial(key, refusal, freshMs)
    if (options.tokenlessRequests === 'session') rememberDenial(viewerKey, refusal, freshMs)
  }

  function rememberDenial(key: string, refusal: Refusal, freshMs: number): Denial {
    const denial = { refusal, freshUntilMs: now() + freshMs }
    store.deny(key, denial)
    return denial
  }

  function report(
    session: Session,
    verdict: Verdict,
    answer: Answer,
    startedAtMs: number,
    circumstances: Pick<DecisionEvent, 'isRecheck' | 'wasUndecided'>,
  ): void {
    const { channelId, clientIp } = partsOf(session.key)
    const elapsedMs = now() - startedAtMs
    options.onDecision({ session, channelId, clientIp, verdict, answer, elapsedMs, ...circumstances })
  }

  return {
    authorize,
    checkUndecided,
    close,
    get questionsInFlight() {
      return questions.size
    },
  }
}

function refuse(
  refusal: Refusal,
  source: Rejection['source'],
  channelId: string | undefined,
  edge: EdgeLife,
): Decision {
  return { allowed: false, source, refusal, channelId, edge }
}

/** Where a file's name is part of what was decided, nginx, which remembers by folder, must not remember. */
function keepFromEdge(decision: Decision): Decision {
  return { ...decision, edge: NOT_AT_THE_EDGE }
}
