import { isAboutRequest, type JudgedAnswer } from '../../decision.js'
import type { Backend, Question } from '../backend.js'
import { Availability } from './availability.js'
import { ConcurrencyLimit } from './concurrency-limit.js'
import { OwnQuestions, type OwnQuestionsOptions } from './own-questions.js'
import { Places, type Party, type Place } from './places.js'
import type { Cause, OwnAnswer } from './verdict.js'

export interface GuardedBackendOptions extends Omit<OwnQuestionsOptions, 'backend'> {
  readonly backend: Backend
  /** The same backend, for the service's own questions: with a deadline of {@link ownTimeoutMs}. */
  readonly ownBackend: Backend
  /** Deadline of one question, in milliseconds. */
  readonly timeoutMs: number
  /** Most questions about viewers at once. */
  readonly mostQuestions: number
  readonly onDown: (cause: Cause) => void
  readonly onUp: () => void
}

/** Whom a question is about: somebody new, or a session that is open, undecided or not. */
export type About = 'newcomer' | Exclude<Party, 'unknown' | 'known'>

/** `crowded`: the viewer's turn did not come in time, and nothing was asked. */
export type GuardedAnswer = JudgedAnswer | { readonly outcome: 'crowded' }

/** The door as it is seen by whoever asks through it. */
export type BackendDoor = Pick<
  GuardedBackend,
  'credentialParams' | 'recheckMs' | 'isDown' | 'hasCapacity' | 'isFull' | 'mayTry' | 'ask'
>

/** What stands in for the backend while it is down. */
export const NOT_ASKED: JudgedAnswer = {
  outcome: 'unavailable',
  failure: 'breaker',
  status: undefined,
  isBackendDown: true,
}

/** nginx waits 10 s for an answer (`proxy_read_timeout`). */
export const MAX_WAIT_MS = 9_500

/** Whose turn has not come by then, with BACKEND_TIMEOUT ahead of him, would be answered too late for nginx. */
const MAX_TURN_MS = 9_000

/**
 * A question that is open for so many times of what the fastest answer of late has taken, and so many milliseconds, makes
 * the service ask by itself.
 */
const LATE = { times: 4, atLeastMs: 100 }

/** An own question that takes longer is unusual, in milliseconds, and so is one that takes twice as long as the last. */
const UNUSUAL_MS = 200

const TRY_MS = 1_000

/** Failures that no script can bring about. */
const NOBODY_THERE: readonly Cause[] = ['refused', 'dns', 'tls', 'timeout']

/** The deadline of the service's own questions: with it a verdict comes within a second of a viewer's own deadline. */
export function ownTimeoutMs(timeoutMs: number): number {
  return (timeoutMs * 3) / 4
}

/**
 * The one door to the backend: whoever asks it waits for his turn, and learns with a failure whether the backend is down
 * or it is this question's own.
 */
export class GuardedBackend {
  readonly #options: GuardedBackendOptions
  readonly #limit: ConcurrencyLimit
  readonly #places: Places
  readonly #own: OwnQuestions
  readonly #availability: Availability
  #triedAtMs = -Infinity

  constructor(options: GuardedBackendOptions) {
    const { timeoutMs, now } = options
    this.#options = options
    this.#limit = new ConcurrencyLimit({ most: options.mostQuestions, now })
    this.#own = new OwnQuestions({ ...options, backend: options.ownBackend })
    const waitMs = Math.min(timeoutMs, MAX_TURN_MS - timeoutMs)
    this.#places = new Places({
      limit: this.#limit,
      isHolding: () => this.#availability.isHolding,
      waitMs,
      heldMs: MAX_TURN_MS - waitMs,
      now,
    })
    this.#availability = new Availability({
      ask: () => this.#own.round(),
      isTelling: (cause) => this.#own.isTelling(cause),
      isQuiet: () => this.#places.isQuiet,
      holdMs: () => Math.max(UNUSUAL_MS, 2 * this.#own.usualMs),
      now,
      onDown: (cause) => {
        options.onDown(cause)
        this.#places.close()
      },
      onUp: options.onUp,
      onAnswered: () => this.#places.lendLate(),
      onTrouble: () => this.#limit.halve(),
      onHold: () => this.#places.deal(),
    })
  }

  get credentialParams(): readonly string[] | undefined {
    return this.#options.backend.credentialParams
  }

  get recheckMs(): number {
    return this.#options.backend.recheckMs
  }

  /** Nobody is asked about then, but by the service itself. */
  get isDown(): boolean {
    return this.#availability.isDown
  }

  /** Why it has never answered since the service was first started; undefined where it has, or may be well. */
  get neverAnswered(): Cause | undefined {
    const { hasAnswered, bareFailure } = this.#own
    if (hasAnswered || bareFailure === undefined) return undefined
    // A script that fails without a viewer's query may be well.
    return this.isDown || NOBODY_THERE.includes(bareFailure) ? bareFailure : undefined
  }

  /** Whether a question about a session would be asked at once. */
  hasCapacity(clientIp: string, about: 'session' | 'undecided'): boolean {
    return this.#places.hasCapacity(clientIp, about)
  }

  /** Whether none would be, whosever the session is. */
  isFull(about: 'session' | 'undecided'): boolean {
    return this.#places.isFull(about)
  }

  /**
   * Whether somebody is asked about although the backend is down: one a second, where there are no sessions by which the
   * service could see for itself that it is back. Yes means that he is asked about.
   */
  mayTry(): boolean {
    const nowMs = this.#options.now()
    if (!this.isDown || this.#own.hasWitnesses || nowMs - this.#triedAtMs < TRY_MS) return false
    this.#triedAtMs = nowMs
    return true
  }

  /**
   * Asks when it is this viewer's turn. Never rejects, and takes {@link MAX_WAIT_MS} at most.
   *
   * @param isTry what {@link mayTry} has allowed: without waiting, and although it is down
   */
  async ask(question: Question, about: About, isTry = false): Promise<GuardedAnswer> {
    const deadlineMs = this.#options.now() + MAX_WAIT_MS
    if (isTry) return this.#ask(question, NO_PLACE, deadlineMs)
    if (this.isDown) return NOT_ASKED
    const { clientIp } = question
    const party = about !== 'newcomer' ? about : this.#own.knows(clientIp) ? 'known' : 'unknown'
    const place = await this.#places.take(clientIp, party)
    if (place === 'closed') return NOT_ASKED
    if (place === 'late') return { outcome: 'crowded' }
    return this.#ask(question, place, deadlineMs)
  }

  async #ask(question: Question, place: Place, deadlineMs: number): Promise<GuardedAnswer> {
    const { backend, slowMs, now } = this.#options
    const askedAtMs = now()
    const late = setTimeout(() => {
      place.late()
      this.#availability.suspect()
    }, this.#lateMs())
    const answer = await backend.ask(question, () => {
      clearTimeout(late)
      place.leave()
    })
    if (answer.outcome === 'unavailable') {
      this.#own.failed(question.clientIp)
      const state = await this.#availability.stateSince(askedAtMs, deadlineMs)
      return { ...answer, isBackendDown: state === 'down' }
    }
    const elapsedMs = now() - askedAtMs
    if (answer.outcome === 'allow') {
      this.#own.admitted(question)
      this.#limit.admitted(elapsedMs, place.isUsedUp)
    }
    if (!isAboutRequest(answer) && (slowMs === 0 || elapsedMs <= slowMs)) {
      this.#availability.decided()
      this.#own.decided(askedAtMs)
    }
    return answer
  }

  /** The backend has admitted this session before the service was started. */
  remember(question: Question): void {
    this.#own.admitted(question)
  }

  /** A session is closed. */
  forget(session: Pick<Question, 'clientIp' | 'sessionId'>): void {
    this.#own.forget(session)
  }

  /** Asks about nobody, to know what is answered while all is well. */
  askBare(): Promise<OwnAnswer> {
    return this.#own.askBare()
  }

  async close(): Promise<void> {
    await Promise.all([this.#options.backend.close(), this.#own.close()])
  }

  #lateMs(): number {
    const { timeoutMs, slowMs } = this.#options
    const unusualMs = Math.max(LATE.times * this.#limit.fastestMs, LATE.atLeastMs)
    return Math.min(unusualMs, slowMs || Infinity, timeoutMs / 4)
  }
}

/** A question beside all others. */
const NO_PLACE: Place = { isUsedUp: false, late() {}, leave() {} }
