import { networkOf } from './network.js'

export interface NetworkQueueOptions {
  /**
   * Most questions in flight about one network. Below what the backend is asked at once, so that nobody can make others,
   * or himself, wait for a backend that is well: what waits too long counts as an outage, and lets viewers in.
   */
  readonly most: number
  /** How long one more waits for its turn, in milliseconds. */
  readonly waitMs: number
}

/** What one network has. */
interface Share {
  inFlight: number
  /** Those who wait, the first first. */
  readonly waiting: Set<(isTurn: boolean) => void>
}

/** Lets as many questions about one network through at once as it may have, and the others one after the other. */
export class NetworkQueue {
  readonly #shares = new Map<string, Share>()
  readonly #options: NetworkQueueOptions

  constructor(options: NetworkQueueOptions) {
    this.#options = options
  }

  /** Whether a question about this address would not have to wait. */
  hasRoom(clientIp: string): boolean {
    return (this.#shares.get(networkOf(clientIp))?.inFlight ?? 0) < this.#options.most
  }

  /**
   * Asks when it is this address's turn.
   *
   * @returns undefined where its turn did not come in time, and nothing was asked
   */
  async inTurn<T>(clientIp: string, ask: () => Promise<T>): Promise<T | undefined> {
    const network = networkOf(clientIp)
    const share = this.#shares.get(network) ?? { inFlight: 0, waiting: new Set() }
    this.#shares.set(network, share)
    if (share.inFlight < this.#options.most) share.inFlight++
    else if (!(await this.#turn(share))) return undefined
    try {
      return await ask()
    } finally {
      const [next] = share.waiting
      // Who is next takes the turn over.
      if (next) next(true)
      else if (--share.inFlight === 0) this.#shares.delete(network)
    }
  }

  #turn({ waiting }: Share): Promise<boolean> {
    return new Promise((resolve) => {
      const settle = (isTurn: boolean) => {
        clearTimeout(timer)
        waiting.delete(settle)
        resolve(isTurn)
      }
      const timer = setTimeout(() => settle(false), this.#options.waitMs)
      waiting.add(settle)
    })
  }
}
