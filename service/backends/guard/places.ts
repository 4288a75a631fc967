import type { ConcurrencyLimit } from './concurrency-limit.js'
import { FairQueue } from './fair-queue.js'

/**
 * Everybody's part of the places: `known` is who comes from a network in which the backend has admitted somebody, `unknown`
 * who does not, and the others are sessions that are asked about again; an undecided one was let in while the backend was
 * down. So nobody can take the places of all, and whoever has not shown a good token yet has no more than a quarter.
 */
const SHARES = { unknown: 1 / 4, known: 3 / 8, session: 1 / 4, undecided: 1 / 8 } as const

/** Whose place it is. */
export type Party = keyof typeof SHARES

const isNew = (party: Party) => party === 'unknown' || party === 'known'

/**
 * It is quiet where no more than so many questions about unknown viewers are with the backend, which cannot keep one busy
 * that has any workers to speak of, and no more than so many about new viewers were asked within this time.
 */
const QUIET = { atWork: 2, asked: 2, withinMs: 900 }

export interface PlacesOptions {
  readonly limit: ConcurrencyLimit
  /** Whether no new viewer gets a place now, until it is known whether they overload the backend. */
  readonly isHolding: () => boolean
  /** How long a new viewer waits for his turn, in milliseconds; and at most, while they are held back. */
  readonly waitMs: number
  readonly heldMs: number
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number
}

/** A question's place with the backend. */
export interface Place {
  /** Whether all places of its party are taken with it. */
  readonly isUsedUp: boolean
  /** The question takes long: the place is lent to others as soon as the backend is seen to answer meanwhile. */
  late(): void
  /** The backend has done with the question. */
  leave(): void
}

/** The places for questions that are with the backend at once, each party's apart. */
export class Places {
  readonly #queues: Readonly<Record<Party, FairQueue>>
  /** Questions about unknown viewers that the backend has not done with, those whose deadline has passed among them. */
  #unknownAtWork = 0
  /** When the last new viewers were asked about. */
  #askedAtMs: number[] = []
  /** Lends its place, for each question that takes long. */
  readonly #late = new Set<() => void>()
  readonly #options: PlacesOptions

  constructor(options: PlacesOptions) {
    this.#options = options
    this.#queues = {
      unknown: this.#queue('unknown'),
      known: this.#queue('known'),
      session: this.#queue('session'),
      undecided: this.#queue('undecided'),
    }
  }

  /** Whether the backend is asked about so few new viewers that they cannot be what makes it fail. */
  get isQuiet(): boolean {
    const { now } = this.#options
    const asked = this.#askedAtMs.filter((atMs) => now() - atMs < QUIET.withinMs).length
    return this.#unknownAtWork <= QUIET.atWork && asked <= QUIET.asked
  }

  /** Whether a place for this address would be had at once. */
  hasCapacity(clientIp: string, party: Party): boolean {
    return this.#queues[party].hasCapacity(clientIp)
  }

  /** Whether nobody of this party would have one at once. */
  isFull(party: Party): boolean {
    return this.#queues[party].isFull
  }

  /**
   * Waits for a place.
   *
   * @returns why there is none: the turn did not come in time, or nobody has one any more
   */
  async take(clientIp: string, party: Party): Promise<Place | 'late' | 'closed'> {
    const queue = this.#queues[party]
    const turn = await queue.enter(clientIp)
    if (turn !== 'taken') return turn
    if (party === 'unknown') this.#unknownAtWork++
    if (isNew(party)) this.#askedAtMs = [...this.#askedAtMs.slice(-QUIET.asked), this.#options.now()]
    let isLent = false
    const lend = () => {
      this.#late.delete(lend)
      isLent = true
      queue.lend()
    }
    return {
      isUsedUp: queue.isFull,
      late: () => this.#late.add(lend),
      leave: () => {
        this.#late.delete(lend)
        if (party === 'unknown') this.#unknownAtWork--
        queue.leave(clientIp, isLent)
      },
    }
  }

  /** The backend has answered somebody: whoever takes long takes no place that others could use. */
  lendLate(): void {
    for (const lend of this.#late) lend()
  }

  /** Deals out what is free. To be called when new viewers are not held back any more. */
  deal(): void {
    for (const queue of Object.values(this.#queues)) queue.deal()
  }

  /** Tells all who wait that nobody has a place any more. */
  close(): void {
    for (const queue of Object.values(this.#queues)) queue.close()
  }

  #queue(party: Party): FairQueue {
    const { limit, isHolding, waitMs, heldMs, now } = this.#options
    const isHeld = () => isNew(party) && isHolding()
    return new FairQueue({
      limit: () => (isHeld() ? 0 : Math.max(1, Math.floor(limit.value * SHARES[party]))),
      waitMs: isNew(party) ? waitMs : 0,
      isHeld,
      heldMs,
      now,
    })
  }
}
