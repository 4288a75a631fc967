import { networkOf } from '../../network.js'
import type { Question } from '../backend.js'

/** More networks than are needed to tell who is known. */
const MAX_NETWORKS = 10_000

/**
 * For each network the last question that the backend has answered with an admission, and whose session is open. Asked
 * again, it has an answer where the backend is well: an admission, or a refusal where its token is dead by now.
 */
export class Witnesses {
  /** The one that was admitted longest ago first. */
  readonly #questions = new Map<string, Question>()
  readonly #random: () => number

  /** @param random from 0 to below 1 */
  constructor(random: () => number) {
    this.#random = random
  }

  get isEmpty(): boolean {
    return this.#questions.size === 0
  }

  /** Whether the backend has admitted somebody from this network. */
  knows(clientIp: string): boolean {
    return this.#questions.has(networkOf(clientIp))
  }

  add(question: Question): void {
    const network = networkOf(question.clientIp)
    this.#questions.delete(network)
    this.#questions.set(network, question)
    const [oldest] = this.#questions.keys()
    if (this.#questions.size > MAX_NETWORKS) this.#questions.delete(oldest!)
  }

  /** The session is closed. */
  remove({ clientIp, sessionId }: Pick<Question, 'clientIp' | 'sessionId'>): void {
    const network = networkOf(clientIp)
    if (this.#questions.get(network)?.sessionId === sessionId) this.#questions.delete(network)
  }

  /**
   * Any so many, each of another network.
   *
   * @param others networks that come last: a viewer's failure is not to be confirmed by his own questions
   */
  choose(count: number, others: ReadonlySet<string>): Question[] {
    const chosen: Question[] = []
    const networks = [...this.#questions.keys()]
    for (const isLastChance of [false, true]) {
      const pool = networks.filter((network) => others.has(network) === isLastChance)
      while (chosen.length < count && pool.length > 0) {
        const [network] = pool.splice(Math.floor(this.#random() * pool.length), 1)
        chosen.push(this.#questions.get(network!)!)
      }
    }
    return chosen
  }
}
