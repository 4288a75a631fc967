import type { BackendDoor } from './backends/guard/guarded-backend.js'
import { judge, type Decision, type Refusal } from './decision.js'
import { refuseOnce, type EdgeAnswers } from './edge-answers.js'
import type { Questions } from './questions.js'
import { partsOf, type Session } from './session.js'
import type { SessionStore } from './session-store.js'

/** Most viewers who are asked about by themselves; others are when their next request comes. */
const MAX_UNDECIDED = 10_000

/** Most that are looked at in one go. */
const MAX_VISITS = 500

export interface RechecksOptions {
  readonly backend: BackendDoor
  readonly questions: Questions
  readonly answers: EdgeAnswers
  readonly store: SessionStore
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number
  /** A session was refused by the backend and is closed. */
  readonly onRefused: (session: Session, refusal: Refusal) => void
  /** A bug, of which no viewer hears: the session stays as it was. */
  readonly onError: (error: Error) => void
}

/** Questions about sessions that are open, behind their viewers' backs. */
export class Rechecks {
  /** Who came in through the open door, those asked about last at the end. */
  readonly #undecided = new Set<Session>()
  readonly #options: RechecksOptions

  constructor(options: RechecksOptions) {
    this.#options = options
  }

  /**
   * Asks about a session, if that may be now: nobody waits for his turn.
   *
   * @returns whether it is asked about
   */
  ask(session: Session): boolean {
    const { backend, questions } = this.#options
    if (backend.isDown || questions.has(session.key)) return false
    if (!backend.hasCapacity(partsOf(session.key).clientIp, aboutOf(session))) return false
    this.#ask(session, false)
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

  /** Asks about those who came in through the open door, as many as may be asked about at once. */
  askAboutUndecided(): void {
    const { backend, questions, store, now } = this.#options
    let visits = MAX_VISITS
    for (const session of this.#undecided) {
      if (visits-- <= 0 || backend.isFull('undecided')) return
      // Behind all others, should it be asked about again.
      this.#undecided.delete(session)
      if (!store.has(session)) continue
      this.#undecided.add(session)
      if (questions.has(session.key)) continue
      if (backend.isDown) {
        if (backend.mayTry()) this.#ask(session, true)
        return
      }
      if (now() >= session.recheckAtMs) this.ask(session)
    }
  }

  #ask(session: Session, isTry: boolean): void {
    const { questions, onError } = this.#options
    questions
      .once(session.key, () => this.#recheck(session, isTry))
      .catch(onError)
      .finally(() => this.askAboutUndecided())
  }

  /** @returns undefined where the session is gone when the answer comes */
  async #recheck(session: Session, isTry: boolean): Promise<Decision | undefined> {
    const { questions, answers, store, now, onRefused } = this.#options
    const startedAtMs = now()
    const wasUndecided = session.source === 'open-door'
    const { channelId } = partsOf(session.key)
    const answer = await questions.ask(session, aboutOf(session), isTry)
    if (answer.outcome === 'crowded') return answers.admit(session, 'remembered', channelId, true)
    // What is known stands, whatever an operator wants for others.
    const verdict = judge(answer, wasUndecided ? 'undecided' : 'allow', 'deny')
    questions.learn(session, answer)
    questions.report(session, verdict, answer, startedAtMs, { isRecheck: true, wasUndecided })
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
    const isClosed = store.close(session, 'refused') === 'refused'
    // That of a failure of his own is no denial: he is asked about anew.
    if (isClosed && verdict.source === 'backend') onRefused(session, verdict.refusal)
    return refuseOnce(verdict.refusal, verdict.source, channelId)
  }
}

const aboutOf = ({ source }: Session) => (source === 'open-door' ? 'undecided' : 'session')
