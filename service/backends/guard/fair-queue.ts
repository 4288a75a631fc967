import { networkOf } from '../../network.js'

/** After so long without a turn a network counts as new again, in milliseconds. */
const MEMORY_MS = 10_000

/** More of one network than could have their turn within their time. */
const MAX_WAITING_OF_ONE = 1_000

export interface FairQueueOptions {
  /** Most places that are taken at once, by now; one network has at most half of them. */
  readonly limit: () => number
  /** How long one waits for his turn at most, in milliseconds. */
  readonly waitMs: number
  /** Whether nobody can have a turn now, and everybody may soon be told something else: then one waits longer. */
  readonly isHeld: () => boolean
  /** How much longer, in all. */
  readonly heldMs: number
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number
}

/** `taken`: it is his turn; `late`: it did not come in time; `closed`: nobody has a turn any more. */
export type Turn = 'taken' | 'late' | 'closed'

interface Waiter {
  /** When his time is over. */
  readonly untilMs: number
  readonly settle: (turn: Turn) => void
}
type Waiting = Set<Waiter>

/** How often somebody looks whether he has waited long enough, whose time is over. */
const LOOK_MS = 50

/**
 * Deals out turns network by network, so that nobody waits behind a flood from somewhere else: a network that has had no
 * turn of late, and waits for one alone, comes first, the others one after the other (the new and old flows of FQ-CoDel,
 * RFC 8290 section 4.1; a network is a flow, and stays old for {@link MEMORY_MS}, so that asking one by one is of no use).
 */
export class FairQueue {
  readonly #taken = new Map<string, number>()
  #total = 0
  #lent = 0
  /** Networks that wait, by who has had a turn of late; in each the first is next. */
  readonly #waitingNew = new Map<string, Waiting>()
  readonly #waitingOld = new Map<string, Waiting>()
  /** When each network had its last turn, the longest ago first. */
  readonly #lastTurns = new Map<string, number>()
  readonly #options: FairQueueOptions

  constructor(options: FairQueueOptions) {
    this.#options = options
  }

  get isFull(): boolean {
    const limit = this.#options.limit()
    return limit === 0 || this.#total >= limit + this.#lent
  }

  /** Whether this address would have its turn at once. */
  hasCapacity(clientIp: string): boolean {
    return !this.isFull && this.#mayTake(networkOf(clientIp))
  }

  /** Waits for a turn. Whoever gets `taken` has a place until he calls {@link leave}. */
  enter(clientIp: string): Promise<Turn> {
    const network = networkOf(clientIp)
    const waiting = this.#waitingNew.get(network) ?? this.#waitingOld.get(network) ?? new Set()
    if (waiting.size >= MAX_WAITING_OF_ONE) return Promise.resolve('late')
    const isOld = waiting.size > 0 || this.#hadTurn(network)
    if (isOld) this.#waitingNew.delete(network)
    const list = isOld ? this.#waitingOld : this.#waitingNew
    list.set(network, waiting)
    const { now, waitMs, heldMs, isHeld } = this.#options
    const untilMs = now() + waitMs
    return new Promise((resolve) => {
      const look = () => {
        if (isHeld() && now() < untilMs + heldMs) timer = setTimeout(look, LOOK_MS)
        else waiter.settle('late')
      }
      let timer = setTimeout(look, waitMs)
      const waiter: Waiter = {
        untilMs,
        settle: (turn) => {
          clearTimeout(timer)
          waiting.delete(waiter)
          if (waiting.size === 0) this.#forget(network, waiting)
          resolve(turn)
        },
      }
      waiting.add(waiter)
      this.deal()
    })
  }

  /**
   * Lets others have this place, and one more for it: whoever has been answered while it was taken has shown that there are
   * more. Its own network cannot have another instead of it before {@link leave}.
   */
  lend(): void {
    this.#total--
    this.#lent++
    this.deal()
  }

  /**
   * Gives a place back.
   *
   * @param wasLent whether it has been lent
   */
  leave(clientIp: string, wasLent = false): void {
    const network = networkOf(clientIp)
    const left = this.#taken.get(network)! - 1
    if (left === 0) this.#taken.delete(network)
    else this.#taken.set(network, left)
    if (wasLent) this.#lent--
    else this.#total--
    this.deal()
  }

  /** Deals out what is free. To be called when the limit has grown. */
  deal(): void {
    while (!this.isFull) {
      const network = this.#next(this.#waitingNew) ?? this.#next(this.#waitingOld)
      if (network === undefined) return
      const waiting = (this.#waitingNew.get(network) ?? this.#waitingOld.get(network))!
      const [first] = waiting
      if (first!.untilMs < this.#options.now()) {
        // He has waited for something else, and has no time left for an answer.
        first!.settle('late')
        continue
      }
      this.#waitingNew.delete(network)
      this.#waitingOld.delete(network)
      // Behind all others from now on.
      if (waiting.size > 1) this.#waitingOld.set(network, waiting)
      this.#taken.set(network, (this.#taken.get(network) ?? 0) + 1)
      this.#total++
      this.#noteTurn(network)
      first!.settle('taken')
    }
  }

  /** Tells all who wait that nobody has a turn any more. */
  close(): void {
    for (const list of [this.#waitingNew, this.#waitingOld])
      for (const waiting of list.values()) for (const { settle } of waiting) settle('closed')
  }

  /** Nobody waits there any more; in which of the two it stands may have changed. */
  #forget(network: string, waiting: Waiting): void {
    for (const list of [this.#waitingNew, this.#waitingOld])
      if (list.get(network) === waiting) list.delete(network)
  }

  #next(list: ReadonlyMap<string, Waiting>): string | undefined {
    for (const network of list.keys()) if (this.#mayTake(network)) return network
    return undefined
  }

  #mayTake(network: string): boolean {
    return (this.#taken.get(network) ?? 0) < Math.max(1, Math.floor(this.#options.limit() / 2))
  }

  #hadTurn(network: string): boolean {
    this.#forgetTurns()
    return this.#taken.has(network) || this.#lastTurns.has(network)
  }

  #noteTurn(network: string): void {
    this.#forgetTurns()
    this.#lastTurns.delete(network)
    this.#lastTurns.set(network, this.#options.now())
  }

  #forgetTurns(): void {
    for (const [network, atMs] of this.#lastTurns) {
      if (this.#options.now() - atMs <= MEMORY_MS) return
      this.#lastTurns.delete(network)
    }
  }
}
