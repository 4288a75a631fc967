import { shownFailure, type Answer } from '../../decision.js'
import { networkOf } from '../../network.js'
import type { Backend, Question } from '../backend.js'
import type { Round } from './availability.js'
import { BareAnswers } from './bare-answers.js'
import type { Cause, OwnAnswer } from './verdict.js'
import { Witnesses } from './witnesses.js'

const WITNESSES = 3

/** How often the bare address is asked while all is well: as soon as it is not known what it answers, and then. */
const LEARN_MS = { unsettled: 1_000, settled: 60_000 }

export interface OwnQuestionsOptions {
  readonly backend: Backend
  /** A decision that takes longer comes too late, in milliseconds; 0: none does. */
  readonly slowMs: number
  /**
   * Whether a session's question may be asked again only to see whether there is an answer. Where tokens work once, nobody
   * is asked about for that.
   */
  readonly isAskedAgain: boolean
  /** What was learnt at the last start about the bare address; undefined for the first. */
  readonly learnt: string | undefined
  readonly onLearnt: (text: string) => void
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number
  /** From 0 to below 1. */
  readonly random: () => number
}

/**
 * What the service asks the backend by itself, to see whether it answers: about nobody, at its bare address, and about
 * sessions that it has admitted.
 */
export class OwnQuestions {
  readonly #options: OwnQuestionsOptions
  readonly #witnesses: Witnesses
  readonly #bare: BareAnswers
  /** Networks whose questions have failed since the last round: not to be confirmed by their own sessions. */
  #suspected = new Set<string>()
  #bareAskedAtMs = -Infinity
  #bareFailure: Cause | undefined
  #usualMs = 0

  constructor(options: OwnQuestionsOptions) {
    this.#options = options
    this.#witnesses = new Witnesses(options.random)
    this.#bare = new BareAnswers(options.learnt, options.onLearnt)
  }

  /** What the last question about the bare address came to; undefined for a decision, and before the first. */
  get bareFailure(): Cause | undefined {
    return this.#bareFailure
  }

  /** Whether the backend has answered anything since the service was first started. */
  get hasAnswered(): boolean {
    return this.#bare.hasAnswered
  }

  /** How long the last one took that was answered in time, in milliseconds. */
  get usualMs(): number {
    return this.#usualMs
  }

  /** Whether there is a session that may be asked about. */
  get hasWitnesses(): boolean {
    return this.#options.isAskedAgain && !this.#witnesses.isEmpty
  }

  /** Whether such a failure of the bare address says that the backend is down. */
  isTelling(cause: Cause): boolean {
    return this.#bare.isTelling(cause)
  }

  /** Whether the backend has admitted somebody from this address's network. */
  knows(clientIp: string): boolean {
    return this.#witnesses.knows(clientIp)
  }

  /** The backend has admitted this session. */
  admitted(question: Question): void {
    this.#witnesses.add(question)
  }

  /** A session is closed: it says nothing any more. */
  forget(session: Pick<Question, 'clientIp' | 'sessionId'>): void {
    this.#witnesses.remove(session)
  }

  /** A question about this address has failed. */
  failed(clientIp: string): void {
    this.#suspected.add(networkOf(clientIp))
  }

  /** Somebody was decided about in time who was asked about then: the backend works, whatever its bare address answers. */
  decided(askedAtMs: number): void {
    this.#bare.viewerDecided(askedAtMs)
    const everyMs = this.#bare.isSettled ? LEARN_MS.settled : LEARN_MS.unsettled
    if (this.#options.now() - this.#bareAskedAtMs >= everyMs) void this.askBare()
  }

  /** Asks about nobody and about some sessions. */
  round(): Round {
    const { backend, isAskedAgain } = this.#options
    const witnesses = isAskedAgain ? this.#witnesses.choose(WITNESSES, this.#suspected) : []
    this.#suspected = new Set()
    return {
      bare: this.askBare(),
      witnesses: witnesses.map((question) => this.#timed(backend.ask(question))),
    }
  }

  /** Asks about nobody, and learns what is answered. */
  async askBare(): Promise<OwnAnswer> {
    const askedAtMs = this.#options.now()
    this.#bareAskedAtMs = askedAtMs
    const answer = await this.#timed(this.#options.backend.askBare())
    if (answer === 'decided') this.#bare.decided()
    else this.#bare.failed(answer.cause, askedAtMs)
    this.#bareFailure = answer === 'decided' ? undefined : answer.cause
    return answer
  }

  close(): Promise<void> {
    return this.#options.backend.close()
  }

  async #timed(asked: Promise<Answer>): Promise<OwnAnswer> {
    const { now, slowMs } = this.#options
    const askedAtMs = now()
    const answer = await asked
    if (answer.outcome === 'unavailable') return { cause: shownFailure(answer) }
    const elapsedMs = now() - askedAtMs
    if (slowMs > 0 && elapsedMs > slowMs) return { cause: 'slow' }
    this.#usualMs = elapsedMs
    return 'decided'
  }
}
