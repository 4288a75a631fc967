import { randomBytes } from 'node:crypto'
import type { AccessRequest } from './access-request.js'
import { NOT_ASKED, type BackendDoor } from './backends/guard/guarded-backend.js'
import { channelOf, decodeCanonicalPath } from './channel.js'
import type { ChannelPattern } from './channel-pattern.js'
import {
  isAboutRequest,
  judge,
  type Decision,
  type JudgedAnswer,
  type Refusal,
  type WhenBackendDown,
} from './decision.js'
import { credentialsIn, requestKeyOf, sessionKeyOf, viewerKeyOf, type Session } from './session.js'
import type { BlockList } from './block-list.js'
import { Closings } from './closings.js'
import type { Denial } from './denial-memory.js'
import { EdgeAnswers, keepFromEdge, refuseOnce } from './edge-answers.js'
import { Questions, type DecisionEvent } from './questions.js'
import { Rechecks } from './rechecks.js'
import type { SessionStore } from './session-store.js'

export interface AuthorizerOptions {
  readonly backend: BackendDoor
  readonly store: SessionStore
  readonly blocks: BlockList
  readonly whenBackendDown: WhenBackendDown
  readonly channelPattern: ChannelPattern
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
  /** A query without anything in it that is a credential. */
  readonly onUnreadQuery: (query: string) => void
  /** Somebody was refused because his turn did not come in time. */
  readonly onCrowd: (clientIp: string) => void
  /** A bug in a re-check, of which no viewer hears: the session stays as it was. */
  readonly onError: (error: Error) => void
}

export interface Authorizer {
  /** Decides about one request: at once where the answer is remembered. Never rejects unless there is a bug. */
  authorize(request: AccessRequest): Decision | Promise<Decision>
  /** Asks about viewers who came in through the open door, as many as may be asked about at once. Called now and then. */
  checkUndecided(): void
  /** What an operator closes; its `closeBlocked` is to be called now and then. */
  readonly closings: Closings
  /** How many questions wait for the backend. */
  readonly questionsInFlight: number
  /** Resolves when none of those that are in flight now is any more. */
  settled(): Promise<void>
}

/** What a request is about. */
interface Place {
  readonly channelId: string
  readonly key: string
  readonly credentials: string
  /** Without credentials, and therefore its viewer's newest session's, where there is one. */
  readonly isTokenless: boolean
}

type RefusalSource = (Decision & { allowed: false })['source']

/** The straight line from a request to a decision: path, channel, session; remembered, or asked once. */
export function createAuthorizer(options: AuthorizerOptions): Authorizer {
  const { backend, store, blocks, now } = options
  const credentialParams = options.credentialParams ?? backend.credentialParams
  const recheckMs = options.sessionRecheckMs ?? backend.recheckMs
  const questions = new Questions({ ...options, recheckMs })
  const answers = new EdgeAnswers(options.edgeTtlMs, now)
  const rechecks = new Rechecks({
    ...options,
    questions,
    answers,
    onRefused: (session, refusal) => denySession(session, refusal, options.denyTtlMs),
  })
  const closings = new Closings({
    ...options,
    onClosed(session, refusal, freshMs) {
      rechecks.forget(session)
      denySession(session, refusal, freshMs)
    },
  })

  function authorize(request: AccessRequest): Decision | Promise<Decision> {
    const path = decodeCanonicalPath(request.path)
    const channel = path === undefined ? undefined : channelOf(path, options.channelPattern)
    if (channel === undefined) return refuseOnce(403, 'path', undefined)

    const { host, clientIp, userAgent } = request
    const channelId = channel.id
    const credentials = credentialsIn(request.query, credentialParams)
    if (credentials === '' && request.query !== '') options.onUnreadQuery(request.query)
    const key = sessionKeyOf({ host, channelId, clientIp, userAgent, credentials })

    const isTokenless = credentials === '' && options.tokenlessRequests === 'session'
    const decision = decide(request, { channelId, key, credentials, isTokenless })
    if (channel.isWholeFolder) return decision
    return decision instanceof Promise ? decision.then(keepFromEdge) : keepFromEdge(decision)
  }

  /** What is remembered, or what the backend says now. */
  function decide(request: AccessRequest, place: Place): Decision | Promise<Decision> {
    const { key, channelId } = place
    const remembered = decideFromMemory(request, place)
    if (remembered !== undefined) return remembered
    const known = (store.denial(key) ?? store.denial(requestKeyOf(key, request)))?.refusal
    if (backend.isDown) return decideUnasked(request, place, known)
    const decision = questions.once(key, () => open(request, place, known, false))
    // It was a re-check whose session is gone. nginx does not wait for another question.
    return decision.then(
      (made) => made ?? decideFromMemory(request, place) ?? refuseOnce(known ?? 403, 'kept', channelId),
    )
  }

  function decideFromMemory(request: AccessRequest, place: Place): Decision | undefined {
    const { key, channelId } = place
    const blocked = refuseBlocked(place)
    if (blocked !== undefined) return blocked
    // Without credentials the key is the viewer's own.
    const session = place.isTokenless ? store.newestSession(key) : store.session(key)
    if (session !== undefined) return admitKnown(session, channelId)

    const denial = freshDenial(key)
    if (denial !== undefined) return refuseAt(place, 'remembered', denial)
    const unreadable = freshDenial(requestKeyOf(key, request))
    if (unreadable !== undefined) return refuseOnce(unreadable.refusal, 'remembered', channelId)
    const others = place.isTokenless ? store.recallNewest(key) : store.recall(key)
    return others && admitKnown(others, channelId)
  }

  function freshDenial(key: string): Denial | undefined {
    const denial = store.denial(key)
    return denial !== undefined && now() < denial.freshUntilMs ? denial : undefined
  }

  function refuseBlocked({ key, channelId, credentials }: Place): Decision | undefined {
    if (blocks.size === 0) return undefined
    const untilMs = blocks.untilMs(viewerKeyOf(key, credentials))
    if (untilMs === undefined) return undefined
    return answers.refuseUntil(403, 'blocked', channelId, untilMs)
  }

  function admitKnown(session: Session, channelId: string): Decision {
    const isPostponed = now() >= session.recheckAtMs && !questions.has(session.key) && !rechecks.ask(session)
    return answers.admit(session, 'remembered', channelId, isPostponed)
  }

  /** While the backend is down nobody waits for it: who is asked about has his decision already. */
  function decideUnasked(request: AccessRequest, place: Place, known: Refusal | undefined): Decision {
    const decision = conclude(newSession(request, place), request, place, known, NOT_ASKED)
    if (!questions.has(place.key) && backend.mayTry()) {
      questions.once(place.key, () => open(request, place, known, true)).catch(options.onError)
    }
    return decision
  }

  async function open(
    request: AccessRequest,
    place: Place,
    known: Refusal | undefined,
    isTry: boolean,
  ): Promise<Decision> {
    const session = newSession(request, place)
    const answer = await questions.ask(session, 'newcomer', isTry)
    if (answer.outcome !== 'crowded') return conclude(session, request, place, known, answer)
    options.onCrowd(request.clientIp)
    // Not remembered: the next request asks again.
    return refuseOnce(known ?? 403, 'crowd', place.channelId)
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
    answer: JudgedAnswer,
  ): Decision {
    const { openedAtMs } = session
    // A request that came when the backend was down may have been admitted unasked.
    const meanwhile = store.session(place.key)
    const about = meanwhile ?? session
    const wasUndecided = meanwhile?.source === 'open-door'
    const knownNow = meanwhile === undefined ? known : wasUndecided ? 'undecided' : 'allow'
    const verdict = judge(answer, knownNow, options.whenBackendDown)
    questions.learn(about, answer)
    questions.report(about, verdict, answer, openedAtMs, { isRecheck: meanwhile !== undefined, wasUndecided })
    if (meanwhile !== undefined) {
      if (verdict.source === 'backend') rechecks.forget(meanwhile)
      if (verdict.allow) {
        store.changed(meanwhile)
        return answers.admit(meanwhile, verdict.source, place.channelId)
      }
      store.close(meanwhile, 'refused')
    }
    if (verdict.allow) {
      // An operator may have blocked him, or closed what he had, while the backend was asked.
      const blocked = refuseBlocked(place)
      if (blocked !== undefined) return blocked
      const closed = freshDenial(place.key)
      if (closed !== undefined) return refuseAt(place, 'remembered', closed)
      session.lastSeenAtMs = now()
      store.open(session)
      if (verdict.source === 'open-door') rechecks.watch(session)
      return answers.admit(session, verdict.source, place.channelId)
    }
    // What is refused without the backend's word is not remembered: the next request asks again.
    if (verdict.source === 'closed-door' || verdict.source === 'single-failure')
      return refuseOnce(verdict.refusal, verdict.source, place.channelId)
    if (verdict.source === 'backend' && isAboutRequest(answer)) {
      rememberDenial(requestKeyOf(place.key, request), verdict.refusal, options.denyTtlMs)
      return refuseOnce(verdict.refusal, verdict.source, place.channelId)
    }
    // The refusal that is known may be about this one request.
    if (verdict.source === 'kept' && store.denial(place.key) === undefined)
      return refuseOnce(verdict.refusal, verdict.source, place.channelId)
    return refuseAt(place, verdict.source, rememberDenial(place.key, verdict.refusal, options.denyTtlMs))
  }

  /**
   * nginx may repeat a refusal, unless it came without credentials: it would then also reach the segments of a viewer
   * behind the same address who is admitted the next moment.
   */
  function refuseAt(place: Place, source: RefusalSource, { refusal, freshUntilMs }: Denial): Decision {
    const { channelId, isTokenless } = place
    if (isTokenless) return refuseOnce(refusal, source, channelId)
    return answers.refuseUntil(refusal, source, channelId, freshUntilMs)
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

  return {
    authorize,
    checkUndecided: () => rechecks.askAboutUndecided(),
    closings,
    get questionsInFlight() {
      return questions.size
    },
    settled: () => questions.settled(),
  }
}
