import type { Question } from './backends/backend.js'
import type { About, BackendDoor, GuardedAnswer } from './backends/guard/guarded-backend.js'
import type { Answer, Decision, Verdict } from './decision.js'
import { partsOf, recheckAfterMs, retryAfterMs, type Session } from './session.js'

/** One decision that was newly made, for those who log and count. Holds no credentials. */
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

export interface QuestionsOptions {
  readonly backend: BackendDoor
  /** How long an allow holds that does not say so itself; Infinity for never. */
  readonly recheckMs: number
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number
  /** From 0 to below 1: spreads what would otherwise be asked all at once. */
  readonly random: () => number
  readonly onDecision: (event: DecisionEvent) => void
}

/** What the backend is asked about a session, each time the same. */
export function questionOf({ id, key, path, query }: Session): Question {
  const { host, channelId, clientIp, userAgent } = partsOf(key)
  return { sessionId: id, path, query, host, channelId, clientIp, userAgent }
}

/** The questions to the backend: one at a time about one session, and what an answer says about it. */
export class Questions {
  // Apart from what is remembered: a question in flight is no decision yet.
  readonly #inFlight = new Map<string, Promise<Decision | undefined>>()
  readonly #options: QuestionsOptions

  constructor(options: QuestionsOptions) {
    this.#options = options
  }

  /** How many are in flight. */
  get size(): number {
    return this.#inFlight.size
  }

  has(key: string): boolean {
    return this.#inFlight.has(key)
  }

  /** However many requests wait for an answer about one session, the backend is asked one question. */
  once(key: string, question: () => Promise<Decision | undefined>): Promise<Decision | undefined> {
    const asked = this.#inFlight.get(key)
    if (asked !== undefined) return asked
    const decision = question().finally(() => this.#inFlight.delete(key))
    this.#inFlight.set(key, decision)
    return decision
  }

  /** Resolves when none of those that are in flight now is any more. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#inFlight.values())
  }

  ask(session: Session, about: About, isTry: boolean): Promise<GuardedAnswer> {
    return this.#options.backend.ask(questionOf(session), about, isTry)
  }

  /** Takes over what an answer says about a session. One without a decision leaves its name and source alone. */
  learn(session: Session, answer: Answer): void {
    const { now, random, recheckMs } = this.#options
    if (answer.outcome === 'allow') {
      session.name = answer.name
      session.source = 'backend'
      session.failedChecks = 0
      session.recheckAtMs = now() + recheckAfterMs(answer.authDurationMs, recheckMs)
    } else {
      session.failedChecks++
      session.recheckAtMs = now() + retryAfterMs(session, random())
    }
  }

  /** Tells of a decision. */
  report(
    session: Session,
    verdict: Verdict,
    answer: Answer,
    startedAtMs: number,
    circumstances: Pick<DecisionEvent, 'isRecheck' | 'wasUndecided'>,
  ): void {
    const { now, onDecision } = this.#options
    const { channelId, clientIp } = partsOf(session.key)
    const elapsedMs = now() - startedAtMs
    onDecision({ session, channelId, clientIp, verdict, answer, elapsedMs, ...circumstances })
  }
}
