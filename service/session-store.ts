import NodeCache from 'node-cache'
import type { Refusal } from './decision.js'
import type { Session } from './session.js'

/** A backend's refusal, remembered for one session key. */
export interface Denial {
  readonly refusal: Refusal
  /** Until then it is answered without asking; after that it only stands in for a backend that is unavailable. */
  readonly freshUntilMs: number
}

export interface SessionStoreOptions {
  /** A session without a request for so long is forgotten; a denial is kept at least as long. */
  readonly idleMs: number
  /** Most denials remembered; beyond it the older half goes. */
  readonly maxDenials: number
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number
}

/**
 * What is remembered: sessions by key and by viewer, and denials apart from them, so that a flood of bad tokens
 * never pushes out a viewer who watches. Every operation takes constant time.
 */
export class SessionStore {
  // In the order of their last request, longest ago first: what is idle stands at the front.
  readonly #sessions = new Map<string, Session>()
  // Of one viewer on one channel, in the order in which they were opened.
  readonly #byViewer = new Map<string, Session[]>()
  // Two generations of denials: when the young one is full or old, it takes the place of the old one. node-cache
  // is used without its own expiry, which walks all keys at once, and without its limit, which throws.
  #young = emptyCache()
  #old = emptyCache()
  #youngSinceMs: number
  readonly #options: SessionStoreOptions

  constructor(options: SessionStoreOptions) {
    this.#options = options
    this.#youngSinceMs = options.now()
  }

  get sessionCount(): number {
    return this.#sessions.size
  }

  /** The live session of a key; it counts as seen now. */
  session(key: string): Session | undefined {
    return this.#seen(this.#sessions.get(key))
  }

  /** The live session that this viewer opened last, whatever its credentials; it counts as seen now. */
  newestSession(viewerKey: string): Session | undefined {
    for (;;) {
      const newest = this.#byViewer.get(viewerKey)?.at(-1)
      if (newest === undefined) return undefined
      // An idle one has just been closed: an older one may still be watched.
      const seen = this.#seen(newest)
      if (seen !== undefined) return seen
    }
  }

  /** Whether this very session is still open; does not count as seen. */
  holds(session: Session): boolean {
    return this.#sessions.get(session.key) === session
  }

  /** Remembers an admitted session, and no longer a denial of the same key. */
  open(session: Session): void {
    this.#forgetIdle()
    const replaced = this.#sessions.get(session.key)
    if (replaced) this.close(replaced)
    this.#sessions.set(session.key, session)
    const ofViewer = this.#byViewer.get(session.viewerKey)
    if (ofViewer) ofViewer.push(session)
    else this.#byViewer.set(session.viewerKey, [session])
    this.#young.del(session.key)
    this.#old.del(session.key)
  }

  close(session: Session): void {
    if (!this.holds(session)) return
    this.#sessions.delete(session.key)
    const rest = this.#byViewer.get(session.viewerKey)!.filter((other) => other !== session)
    if (rest.length > 0) this.#byViewer.set(session.viewerKey, rest)
    else this.#byViewer.delete(session.viewerKey)
  }

  denial(key: string): Denial | undefined {
    this.#renewDenials()
    return this.#young.get<Denial>(key) ?? this.#old.get<Denial>(key)
  }

  deny(key: string, denial: Denial): void {
    this.#renewDenials()
    this.#young.set(key, denial)
  }

  /** Forgets what is idle. Called now and then it keeps an abandoned store small; answers are right without it. */
  sweep(): void {
    this.#forgetIdle()
    this.#renewDenials()
  }

  #seen(session: Session | undefined): Session | undefined {
    if (session === undefined) return undefined
    const now = this.#options.now()
    if (now - session.lastSeenAtMs > this.#options.idleMs) {
      this.close(session)
      return undefined
    }
    session.lastSeenAtMs = now
    this.#sessions.delete(session.key)
    this.#sessions.set(session.key, session)
    return session
  }

  #forgetIdle(): void {
    const { now, idleMs } = this.#options
    for (const session of this.#sessions.values()) {
      if (now() - session.lastSeenAtMs <= idleMs) return
      this.close(session)
    }
  }

  #renewDenials(): void {
    const { now, idleMs, maxDenials } = this.#options
    const isFull = this.#young.getStats().keys >= maxDenials / 2
    if (!isFull && now() - this.#youngSinceMs <= idleMs) return
    this.#old = this.#young
    this.#young = emptyCache()
    this.#youngSinceMs = now()
  }
}

function emptyCache(): NodeCache {
  return new NodeCache({ stdTTL: 0, checkperiod: 0, useClones: false })
}
