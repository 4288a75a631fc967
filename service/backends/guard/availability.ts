import { verdictOf, type Cause, type OwnAnswer, type Verdict } from './verdict.js'

/** The service's own questions of one round, under way. None rejects. */
export interface Round {
  /** About the bare address. */
  readonly bare: Promise<OwnAnswer>
  /** About sessions that the backend has admitted, each of another network. */
  readonly witnesses: readonly Promise<OwnAnswer>[]
}

export interface AvailabilityOptions {
  readonly ask: () => Round
  /** Whether such a failure of the bare address says anything. */
  readonly isTelling: (cause: Cause) => boolean
  /** Whether it is asked about so few new viewers that they cannot be what makes it fail. */
  readonly isQuiet: () => boolean
  /** A round that takes longer has new viewers held back, so that the next one begins in quiet; in milliseconds. */
  readonly holdMs: () => number
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number
  /** The backend is down from now on. */
  readonly onDown: (cause: Cause) => void
  readonly onUp: () => void
  /** A round has found it up. */
  readonly onAnswered: () => void
  /** A round has not found it up. */
  readonly onTrouble: () => void
  /** Whether new viewers are held back has changed. */
  readonly onHold: () => void
}

/** Time from the beginning of one round to the next. */
const ROUND_MS = 1_000

/** Rounds whose answers are outstanding: a backend that hangs is asked once a second all the same. */
const MAX_UNDER_WAY = 8

/** `unknown`: there is nobody by whom it could be known, or it was not in time. */
export type State = 'up' | 'down' | 'unknown'

/** Who waits for a round that begins at `sinceMs` or later. */
interface Waiting {
  readonly sinceMs: number
  readonly settle: (state: State) => void
}

/**
 * Whether the backend is down. Only the service's own questions tell: a viewer whose question fails may be the cause
 * himself, so all that his failure brings about is that the service asks. It does so at most once a second, however many
 * fail, and as long as the backend is down, which finds its recovery.
 *
 * A backend that fails while it is asked about many new viewers may be overloaded by them. They are held back then, and
 * what counts is a round that began in quiet.
 */
export class Availability {
  #cause: Cause | undefined
  #isBareBlind = false
  #isHolding = false
  #isWanted = false
  /** Rounds in a row that have not found it up. */
  #troubled = 0
  #underWay = 0
  #lastBeganAtMs = -Infinity
  #lastJudgedAtMs = -Infinity
  #timer: NodeJS.Timeout | undefined
  readonly #waiting = new Set<Waiting>()
  readonly #options: AvailabilityOptions

  constructor(options: AvailabilityOptions) {
    this.#options = options
  }

  get isDown(): boolean {
    return this.#cause !== undefined
  }

  /** Whether new viewers have to wait until it is known whether they are what makes the backend fail. */
  get isHolding(): boolean {
    return this.#isHolding
  }

  /** A viewer's question has failed or takes long: the service asks by itself. */
  suspect(): void {
    this.#isWanted = true
    this.#schedule()
  }

  /**
   * How the backend is, by a round that began at this time or later.
   *
   * @returns `unknown` also where that is not known by the deadline
   */
  stateSince(sinceMs: number, deadlineMs: number): Promise<State> {
    if (this.isDown) return Promise.resolve('down')
    return new Promise((resolve) => {
      const settle = (state: State) => {
        clearTimeout(timer)
        this.#waiting.delete(waiting)
        resolve(state)
      }
      const timer = setTimeout(() => settle('unknown'), Math.max(0, deadlineMs - this.#options.now()))
      const waiting = { sinceMs, settle }
      this.#waiting.add(waiting)
      this.#schedule()
    })
  }

  /** The backend has decided about a viewer, which it does not do while it is down. */
  decided(): void {
    if (this.isDown) this.#rise(this.#options.now(), 'up')
  }

  #schedule(): void {
    if (this.#timer !== undefined) return
    const waitMs = this.#lastBeganAtMs + ROUND_MS - this.#options.now()
    if (waitMs <= 0) void this.#begin()
    else this.#timer = setTimeout(() => this.#goOn(), waitMs).unref()
  }

  #goOn(): void {
    this.#timer = undefined
    const isOpen = this.isDown || this.#troubled > 0 || this.#isHolding || this.#waiting.size > 0
    if (isOpen || this.#isWanted) this.#schedule()
  }

  async #begin(): Promise<void> {
    const { ask, isQuiet, holdMs, now } = this.#options
    const beganAtMs = now()
    this.#lastBeganAtMs = beganAtMs
    this.#isWanted = false
    this.#schedule()
    if (this.#underWay >= MAX_UNDER_WAY) return
    this.#underWay++
    const isInQuiet = isQuiet()
    const hold = setTimeout(() => !this.isDown && this.#hold(true), holdMs())
    const verdict = await this.#verdictOf(ask())
    clearTimeout(hold)
    this.#underWay--
    // A round that began later knows better: the backend has hung, and is back.
    if (beganAtMs > this.#lastJudgedAtMs) this.#judge(verdict, beganAtMs, isInQuiet)
  }

  /** As soon as one witness is enough, nobody waits for the others. */
  #verdictOf({ bare, witnesses }: Round): Promise<Verdict> {
    const { isTelling } = this.#options
    return new Promise((resolve) => {
      for (const witness of witnesses)
        void witness.then((answer) => answer === 'decided' && resolve({ kind: 'up', isByWitness: true }))
      void Promise.all([bare, ...witnesses]).then(([ofBare, ...others]) =>
        resolve(verdictOf(ofBare, others, isTelling)),
      )
    })
  }

  #judge(verdict: Verdict, beganAtMs: number, isInQuiet: boolean): void {
    if (verdict.kind !== 'trouble') {
      const isSeenUp = verdict.kind === 'up' && (verdict.isByWitness || !this.#isBareBlind)
      if (!this.isDown || isSeenUp) this.#rise(beganAtMs, verdict.kind)
      return
    }
    this.#options.onTrouble()
    if (this.isDown) return
    if (!isInQuiet && !verdict.isUnmistakable) {
      this.#hold(true)
      return
    }
    this.#lastJudgedAtMs = beganAtMs
    this.#troubled++
    if (this.#troubled < verdict.rounds) return
    this.#cause = verdict.cause
    this.#isBareBlind = verdict.isBareBlind
    this.#options.onDown(verdict.cause)
    this.#settle(Infinity, 'down')
  }

  #rise(sinceMs: number, state: 'up' | 'unknown'): void {
    const wasDown = this.isDown
    this.#lastJudgedAtMs = sinceMs
    this.#troubled = 0
    this.#cause = undefined
    if (wasDown) this.#options.onUp()
    if (state === 'up') this.#options.onAnswered()
    this.#settle(sinceMs, state)
  }

  #settle(beganAtMs: number, state: State): void {
    this.#hold(false)
    for (const { sinceMs, settle } of this.#waiting) if (sinceMs <= beganAtMs) settle(state)
  }

  #hold(isHolding: boolean): void {
    if (this.#isHolding === isHolding) return
    this.#isHolding = isHolding
    this.#options.onHold()
  }
}
