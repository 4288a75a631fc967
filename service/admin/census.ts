import { setImmediate as nextTurn } from 'node:timers/promises'
import { partsOf, type Session } from '../session.js'
import type { SessionStore } from '../session-store.js'
import { sourceOf } from './session-view.js'

/** A session that was seen within this time is being watched: no player is silent for longer. */
const WATCHING_MS = 60_000

/** As many channels as are told. */
const MOST_CHANNELS = 20

/**
 * As many different channels are counted; with more the rest count as sessions only. Their names are viewers' to choose
 * while the door is open, and a Map of a million stops the world for long. What many watch is among the first.
 */
const MAX_CHANNELS = 10_000

/** A census may be so old. */
const FRESH_MS = 1_000

/** After so many sessions others have their turn: about a millisecond. */
const TURN = 500

/** All sessions, counted. */
export interface Census {
  readonly sessions: {
    readonly open: number
    /** Seen within the last minute. */
    readonly watching: number
    readonly backend: number
    readonly remembered: number
    readonly 'open-door': number
  }
  /** The most watched; beyond {@link MAX_CHANNELS} different ones, of those met first. */
  readonly channels: readonly { readonly channel_id: string; readonly watching: number }[]
}

/** Goes through all sessions, one pass after the other, and lets viewers' requests in between. */
export class Rounds {
  #last: Promise<unknown> = Promise.resolve()
  #waiting = 0
  #census: { takenAtMs: number; readonly result: Promise<Census> } | undefined
  readonly #store: SessionStore
  readonly #now: () => number

  constructor(store: SessionStore, now: () => number) {
    this.#store = store
    this.#now = now
  }

  /** How many passes are not at their end. */
  get waiting(): number {
    return this.#waiting
  }

  /**
   * Shows every session to `visit`; when it returns true, that is enough.
   *
   * @param signal ends it early: nobody waits for it any more
   */
  each(visit: (session: Session) => boolean | void, signal?: AbortSignal): Promise<void> {
    this.#waiting++
    const round = this.#after(this.#last, visit, signal).finally(() => this.#waiting--)
    // One that fails is its asker's matter.
    this.#last = round.catch(() => {})
    return round
  }

  async #after(
    last: Promise<unknown>,
    visit: (session: Session) => boolean | void,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    await last
    if (signal?.aborted) return
    let seen = 0
    for (const part of this.#store.parts()) {
      // A Map may change while somebody goes through it.
      for (const session of part) {
        if (visit(session)) return
        if (++seen % TURN !== 0) continue
        await nextTurn()
        if (signal?.aborted) return
      }
    }
  }

  /** Whoever asks meanwhile shares it. */
  census(): Promise<Census> {
    if (this.#census === undefined || this.#now() - this.#census.takenAtMs > FRESH_MS) {
      const census = {
        takenAtMs: Infinity,
        result: this.#take().finally(() => (census.takenAtMs = this.#now())),
      }
      this.#census = census
    }
    return this.#census.result
  }

  async #take(): Promise<Census> {
    const sessions = { open: 0, watching: 0, backend: 0, remembered: 0, 'open-door': 0 }
    const watching = new Map<string, number>()
    await this.each((session) => {
      sessions.open++
      sessions[sourceOf(session)]++
      if (this.#now() - session.lastSeenAtMs > WATCHING_MS) return
      sessions.watching++
      const { channelId } = partsOf(session.key)
      const count = watching.get(channelId)
      if (count !== undefined || watching.size < MAX_CHANNELS) watching.set(channelId, (count ?? 0) + 1)
    })
    return { sessions, channels: mostWatched(watching) }
  }
}

function mostWatched(counts: ReadonlyMap<string, number>): Census['channels'] {
  const most: { readonly channel_id: string; readonly watching: number }[] = []
  // In one pass: sorting so many takes several times as long as others should have to wait.
  for (const [channel_id, watching] of counts) {
    const at = most.findIndex((other) => other.watching < watching)
    most.splice(at < 0 ? most.length : at, 0, { channel_id, watching })
    most.length = Math.min(most.length, MOST_CHANNELS)
  }
  return most
}
