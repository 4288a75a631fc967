import { isAboutRequest, shownFailure, type Answer, type JudgedAnswer } from '../../decision.js'
import { networkOf } from '../../network.js'
import type { Backend, Question } from '../backend.js'
import { Availability, type Round } from './availability.js'
import { BareAnswers } from './bare-answers.js'
import { ConcurrencyLimit } from './concurrency-limit.js'
import { FairQueue } from './fair-queue.js'
import type { Cause, OwnAnswer } from './verdict.js'
import { Witnesses } from './witnesses.js'

export interface GuardedBackendOptions {
  readonly backend: Backend
  /** The same backend, for the service's own questions: with a deadline of {@link ownTimeoutMs}. */
  readonly ownBackend: Backend
  /** Deadline of one question, in milliseconds. */
  readonly timeoutMs: number
  /** A decision that takes longer comes too late, in milliseconds; 0: none does. */
  readonly slowMs: number
  /**
   * Whether a session's question may be asked again only to see whether there is an answer. Where tokens work once, nobody
   * is asked about for that.
   */
  readonly isAskedAgain: boolean
  /** Most questions at once. */
  readonly mostQuestions: number
  /** What was learnt at the last start about the bare address; undefined for the first. */
  readonly learnt: string | undefined
  readonly onLearnt: (text: string) => void
  readonly onDown: (cause: Cause) => void
  readonly onUp: () => void
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number
  /** From 0 to below 1. */
  readonly random: () => number
}

/**
 * Whom a question is about: somebody new, or a session that is open. An undecided one was let in while the backend was
 * down.
 */
export type About = 'newcomer' | 'session' | 'undecided'

/** `crowded`: the viewer's turn did not come in time, and nothing was asked. */
export type GuardedAnswer = JudgedAnswer | { readonly outcome: 'crowded' }

/** A question's turn. */
interface Turn {
  /** Whether all places are taken with it. */
  readonly isUsedUp: boolean
  /** When nginx is told something at the latest. */
  readonly deadlineMs: number
  /** It takes long. As soon as the backend is seen to answer meanwhile, it takes no place that others could use. */
  readonly onLate: () => void
  /** The backend has done with it. */
  readonly onReleased: () => void
}

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
 * Everybody's part of the places: `known` is who comes from a network in which the backend has admitted somebody, `unknown`
 * who does not, and the others are sessions that are asked about again. So nobody can take the places of all, and whoever
 * has not shown a good token yet has no more than a quarter.
 */
const SHARES = { unknown: 1 / 4, known: 3 / 8, session: 1 / 4, undecided: 1 / 8 } as const
type Party = keyof typeof SHARES
const NEWCOMERS: readonly Party[] = ['unknown', 'known']

/**
 * It is quiet where no more than so many questions about unknown viewers are with the backend, which cannot keep one busy
 * that has any workers to speak of, and no more than so many about new viewers were asked within this time.
 */
const QUIET = { atWork: 2, asked: 2, withinMs: 900 }

/** A question is late after so many times of what the fastest answer of late has taken, and so many milliseconds. */
const LATE = { times: 4, atLeastMs: 100 }

const WITNESSES = 3

/** An own question that takes longer is unusual, in milliseconds, and so is one that takes twice as long as the last. */
const HOLD_MS = 200

/** Failures that no script can bring about. */
const NOBODY_THERE: readonly Cause[] = ['refused', 'dns', 'tls', 'timeout']

/** How often the bare address is asked while all is well: as soon as it is not known what it answers, and then. */
const LEARN_MS = { unsettled: 1_000, settled: 60_000 }

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
  readonly #witnesses: Witnesses
  readonly #bare: BareAnswers
  readonly #availability: Availability
  readonly #queues: Readonly<Record<Party, FairQueue>>
  /** Networks whose questions have failed since the last round: not to be confirmed by their own sessions. */
  #suspected = new Set<string>()
  /** Questions about unknown viewers that the backend has not done with, those whose deadline has passed among them. */
  #unknownAtWork = 0
  /** For each question that takes long: has others take its place. */
  readonly #late = new Set<() => void>()
  /** How long the last own question took that was answered in time. */
  #ownMs = 0
  /** When the last new viewers were asked about. */
  #askedAtMs: number[] = []
  #bareAskedAtMs = -Infinity
  /** What the last question about the bare address came to; undefined for a decision, and before it. */
  #bareFailure: Cause | undefined
  #triedAtMs = -Infinity

  constructor(options: GuardedBackendOptions) {
    const { timeoutMs, now } = options
    this.#options = options
    this.#limit = new ConcurrencyLimit({ most: options.mostQuestions, now })
    this.#witnesses = new Witnesses(options.random)
    this.#bare = new BareAnswers(options.learnt, options.onLearnt)
    const waitMs = Math.min(timeoutMs, MAX_TURN_MS - timeoutMs)
    const isHeld = () => this.#availability.isHolding
    const queue = (of: Party, waitMs: number) =>
      new FairQueue({ limit: () => this.#placesOf(of), waitMs, isHeld, heldMs: MAX_TURN_MS - waitMs, now })
    this.#queues = {
      unknown: queue('unknown', waitMs),
      known: queue('known', waitMs),
      session: queue('session', 0),
      undecided: queue('undecided', 0),
    }
    this.#availability = new Availability({
      ask: () => this.#round(),
      isTelling: (cause) => this.#bare.isTelling(cause),
      isQuiet: () => this.#isQuiet(),
      now,
      onDown: (cause) => {
        options.onDown(cause)
        for (const queue of Object.values(this.#queues)) queue.close()
      },
      onUp: options.onUp,
      onAnswered: () => {
        for (const lend of this.#late) lend()
      },
      holdMs: () => Math.max(HOLD_MS, 2 * this.#ownMs),
      onTrouble: () => this.#limit.halve(),
      onHold: () => {
        for (const of of NEWCOMERS) this.#queues[of].deal()
      },
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
    const cause = this.#bareFailure
    if (this.#bare.hasAnswered || cause === undefined) return undefined
    // A script that fails without a viewer's query may be well.
    return this.isDown || NOBODY_THERE.includes(cause) ? cause : undefined
  }

  /** Whether a question about a session would be asked at once. */
  hasCapacity(clientIp: string, about: 'session' | 'undecided'): boolean {
    return this.#queues[about].hasCapacity(clientIp)
  }

  /** Whether none would be, whosever the session is. */
  isFull(about: 'session' | 'undecided'): boolean {
    return this.#queues[about].isFull
  }

  /**
   * Whether somebody is asked about although the backend is down: one a second, where there are no sessions by which the
   * service could see for itself that it is back. Yes means that he is asked about.
   */
  mayTry(): boolean {
    const { now } = this.#options
    const isSeen = this.#options.isAskedAgain && !this.#witnesses.isEmpty
    if (!this.isDown || isSeen || now() - this.#triedAtMs < 1_000) return false
    this.#triedAtMs = now()
    return true
  }

  /**
   * Asks when it is this viewer's turn. Never rejects, and takes {@link MAX_WAIT_MS} at most.
   *
   * @param isTry what {@link mayTry} has allowed: without waiting, and although it is down
   */
  async ask(question: Question, about: About, isTry = false): Promise<GuardedAnswer> {
    const { clientIp } = question
    const deadlineMs = this.#options.now() + MAX_WAIT_MS
    if (isTry) return this.#ask(question, { isUsedUp: false, deadlineMs, onLate() {}, onReleased() {} })
    const queue = this.#queueOf(clientIp, about)
    const turn = this.isDown ? 'closed' : await queue.enter(clientIp)
    if (turn === 'closed') return NOT_ASKED
    if (turn === 'late') return { outcome: 'crowded' }
    const isUnknown = queue === this.#queues.unknown
    if (isUnknown) this.#unknownAtWork++
    if (about === 'newcomer') this.#askedAtMs = [...this.#askedAtMs.slice(-QUIET.asked), this.#options.now()]
    let isLent = false
    const lend = () => {
      this.#late.delete(lend)
      isLent = true
      queue.lend()
    }
    return this.#ask(question, {
      isUsedUp: queue.isFull,
      deadlineMs,
      onLate: () => {
        this.#late.add(lend)
        this.#availability.suspect()
      },
      onReleased: () => {
        this.#late.delete(lend)
        if (isUnknown) this.#unknownAtWork--
        queue.leave(clientIp, isLent)
      },
    })
  }

  async #ask(question: Question, { isUsedUp, deadlineMs, onLate, onReleased }: Turn): Promise<GuardedAnswer> {
    const { backend, now } = this.#options
    const askedAtMs = now()
    const late = setTimeout(onLate, this.#lateMs())
    const answer = await backend.ask(question, () => {
      clearTimeout(late)
      onReleased()
    })
    if (answer.outcome === 'unavailable') {
      this.#suspected.add(networkOf(question.clientIp))
      const state = await this.#availability.stateSince(askedAtMs, deadlineMs)
      return { ...answer, isBackendDown: state === 'down' }
    }
    if (answer.outcome === 'allow') {
      this.#witnesses.add(question)
      this.#limit.admitted(now() - askedAtMs, isUsedUp)
    }
    if (!isAboutRequest(answer) && !this.#isSlow(askedAtMs)) this.#decided(askedAtMs)
    return answer
  }

  /** A session is closed: it says nothing any more. */
  forget(session: Pick<Question, 'clientIp' | 'sessionId'>): void {
    this.#witnesses.remove(session)
  }

  /** The backend has admitted this session before the service was started. */
  remember(question: Question): void {
    this.#witnesses.add(question)
  }

  /** Asks the bare address, to know what it answers. */
  async askBare(): Promise<OwnAnswer> {
    const askedAtMs = this.#options.now()
    this.#bareAskedAtMs = askedAtMs
    const answer = await this.#timed(this.#options.ownBackend.askBare())
    if (answer === 'decided') this.#bare.decided()
    else this.#bare.failed(answer.cause, askedAtMs)
    this.#bareFailure = answer === 'decided' ? undefined : answer.cause
    return answer
  }

  close(): Promise<unknown> {
    return Promise.all([this.#options.backend.close(), this.#options.ownBackend.close()])
  }

  /** A viewer's question that is open for so long makes the service ask by itself. */
  #lateMs(): number {
    const { timeoutMs, slowMs } = this.#options
    const unusualMs = Math.max(LATE.times * this.#limit.fastestMs, LATE.atLeastMs)
    return Math.min(unusualMs, slowMs || Infinity, timeoutMs / 4)
  }

  #isQuiet(): boolean {
    const { now } = this.#options
    const asked = this.#askedAtMs.filter((atMs) => now() - atMs < QUIET.withinMs).length
    return this.#unknownAtWork <= QUIET.atWork && asked <= QUIET.asked
  }

  #placesOf(of: Party): number {
    if (NEWCOMERS.includes(of) && this.#availability.isHolding) return 0
    return Math.max(1, Math.floor(this.#limit.value * SHARES[of]))
  }

  #queueOf(clientIp: string, about: About): FairQueue {
    if (about !== 'newcomer') return this.#queues[about]
    return this.#witnesses.knows(clientIp) ? this.#queues.known : this.#queues.unknown
  }

  #round(): Round {
    const { ownBackend, isAskedAgain } = this.#options
    const witnesses = isAskedAgain ? this.#witnesses.choose(WITNESSES, this.#suspected) : []
    this.#suspected = new Set()
    return {
      bare: this.askBare(),
      witnesses: witnesses.map((question) => this.#timed(ownBackend.ask(question))),
    }
  }

  async #timed(asked: Promise<Answer>): Promise<OwnAnswer> {
    const askedAtMs = this.#options.now()
    const answer = await asked
    if (answer.outcome === 'unavailable') return { cause: shownFailure(answer) }
    if (this.#isSlow(askedAtMs)) return { cause: 'slow' }
    this.#ownMs = this.#options.now() - askedAtMs
    return 'decided'
  }

  /** Somebody was decided about in time: it works, whatever the bare address answers. */
  #decided(askedAtMs: number): void {
    this.#availability.decided()
    this.#bare.viewerDecided(askedAtMs)
    const everyMs = this.#bare.isSettled ? LEARN_MS.settled : LEARN_MS.unsettled
    if (this.#options.now() - this.#bareAskedAtMs >= everyMs) void this.askBare()
  }

  #isSlow(askedAtMs: number): boolean {
    const { now, slowMs } = this.#options
    return slowMs > 0 && now() - askedAtMs > slowMs
  }
}
