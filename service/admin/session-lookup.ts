import type { Session } from '../session.js'
import type { Rounds } from './census.js'

/** A pass through all sessions, with the ids that are looked for and what is found of them. */
interface Pass {
  readonly wanted: Set<string>
  readonly found: Map<string, Session>
  readonly done: Promise<void>
}

/**
 * Finds sessions by their ids. Who asks before a pass begins shares it, so that however many ask, the page and its searches
 * wait for two passes at most. A second index would spare the pass, at a cost in memory for each session.
 */
export class SessionLookup {
  /** The pass that has not begun. */
  #next: Pass | undefined
  readonly #rounds: Rounds

  constructor(rounds: Rounds) {
    this.#rounds = rounds
  }

  async find(id: string): Promise<Session | undefined> {
    this.#next ??= this.#plan()
    const { wanted, found, done } = this.#next
    wanted.add(id)
    await done
    return found.get(id)
  }

  #plan(): Pass {
    const wanted = new Set<string>()
    const found = new Map<string, Session>()
    // Who asks from now on would miss those who have been seen.
    const begin = () => {
      if (this.#next === pass) this.#next = undefined
    }
    const done = this.#rounds
      .each((session) => {
        begin()
        if (wanted.has(session.id)) found.set(session.id, session)
        return found.size === wanted.size
      })
      .finally(begin)
    const pass = { wanted, found, done }
    return pass
  }
}
