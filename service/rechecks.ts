import type { Breaker } from './breaker.js'
import { judge, type Decision, type Refusal } from './decision.js'
import { refuseOnce, type EdgeAnswers } from './edge-answers.js'
import type { NetworkQueue } from './network-queue.js'
import type { Questions } from './questions.js'
import { partsOf, type Session } from './session.js'
import type { SessionStore } from './session-store.js'

/** Most viewers who are asked about by themselves; others are when their next request comes. */
const MAX_UNDECIDED = 10_000

/** Most that are looked at in one go. */
const MAX_VISITS = 500

export interface RechecksOptions {
  readonly questions: Questions
  readonly answers: EdgeAnswers
  /** Has room for a question, or the session is asked about later: nobody waits in it. */
  readonly queue: NetworkQueue
  /** Most in flight. */
  readonly most: number
  readonly breaker: Breaker
  readonly store: SessionStore
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number
  /** A session was refused and is closed. */
  readonly onRefused: (session: Session, refusal: Refusal) => void
  /** A bug, of which no viewer hears: the session stays as it was. */
  readonly onError: (error: Error) => void
}

/** Questions about sessions that are open, behind their viewers' backs. */
export class Rechecks {
  /** Who came in through the open door, those asked about last at the end. */
  readonly #undecided = new Set<Session>()
  #inFlight = 0
  readonly #options: RechecksOptions

  constructor(options: RechecksOptions) {
    this.#options = options
  }

  /**
   * Asks about a session, if that may be now.
   *
   * @returns whether it is asked about
   */
  ask(session: Session): boolean {
    const { questions, queue, most, onError } = this.#options
    const { clientIp } = partsOf(session.key)
    if (this.#inFlight >= most || !queue.hasRoom(clientIp)) return false
    if (questions.has(session.key) || !questions.mayAsk(session)) return false
    this.#inFlight++
    questions
      .once(session.key, () => queue.inTurn(clientIp, () => this.#recheck(session)))
      .catch(onError)
      .finally(() => this.#inFlight--)
    return true
  }

  /** Has a viewer who came in through the open door asked about by himself. */
  watch(session: Session): void {
    if (this.#undecided.size < MAX_UNDECIDED) this.#undecided.add(session)
  }

  /** The session is closed. */
  forget(session: Session): void {
    this.#undecided.delete(session)
  }

  /** Asks about those who came in through the open door, as long as fewer than `most` questions are in flight. */
  askAboutUndecided(): void {
    const { questions, breaker, store, most, now } = this.#options
    let room = most - questions.size
    let visits = MAX_VISITS
    for (const session of this.#undecided) {
      if (room <= 0 || visits-- <= 0 || !breaker.isAskable) return
      // Behind all others, should it be asked about again.
      this.#undecided.delete(session)
      if (!store.has(session)) continue
      this.#undecided.add(session)
      if (now() >= session.recheckAtMs && this.ask(session)) room--
    }
  }

  /** @returns undefined where the session is gone when the answer comes */
  async #recheck(session: Session): Promise<Decision | undefined> {
    const { questions, answers, store, now, onRefused } = this.#options
    const startedAtMs = now()
    const wasUndecided = session.source === 'open-door'
    const answer = await questions.ask(session)
    // What is known stands, so that it does not matter what an operator wants for others.
    const verdict = judge(answer, 'allow', 'deny', false)
    questions.learn(session, answer)
    questions.report(session, verdict, answer, startedAtMs, { isRecheck: true, wasUndecided })
    const { channelId } = partsOf(session.key)
    if (verdict.source === 'backend') this.#undecided.delete(session)
    // An operator may have closed it meanwhile.
    if (!store.has(session)) {
      // One that had to make room is open again: its token may work only once.
      if (!verdict.allow || answer.outcome !== 'allow' || store.denial(session.key)) return undefined
      store.open(session)
    }
    if (verdict.allow) {
      store.changed(session)
      return answers.admit(session, verdict.source, channelId)
    }
    if (store.close(session, 'refused') === 'refused') onRefused(session, verdict.refusal)
    return refuseOnce(verdict.refusal, verdict.source, channelId)
  }
}
