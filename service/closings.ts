import type { KeptBlock } from './archive/session-archive.js'
import type { BlockList } from './block-list.js'
import type { Refusal } from './decision.js'
import type { Session } from './session.js'
import type { SessionStore } from './session-store.js'

/** A player that is at work asks for its playlist more often than this. */
const UNUSED_MS = 30_000

export interface ClosingsOptions {
  readonly store: SessionStore
  readonly blocks: BlockList
  readonly tokenlessRequests: 'session' | 'backend'
  readonly denyTtlMs: number
  readonly edgeTtlMs: number
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number
  /** A session is closed, and refused from now on for `freshMs`. */
  readonly onClosed: (session: Session, refusal: Refusal, freshMs: number) => void
}

/** What an operator closes, here or at another service. */
export class Closings {
  /** Viewers who have more sessions than are closed at once. */
  readonly #unfinished = new Set<string>()
  readonly #options: ClosingsOptions

  constructor(options: ClosingsOptions) {
    this.#options = options
  }

  /**
   * Closes a session, and with it those of its viewer that nobody seems to use any more: a request without credentials
   * would go on as one of them. The next request that gets here is refused; afterwards the viewer may try again, unless he
   * is blocked for `blockMs`: then all his sessions on the channel are closed, and no token of his lets him in before that.
   *
   * @param blockMs 0 for no block
   * @returns false where another service has the session by now, which goes on with it unless it is blocked
   */
  close(session: Session, blockMs: number): boolean {
    const { store, blocks, tokenlessRequests, edgeTtlMs, now } = this.#options
    if (blockMs > 0) blocks.add(session, now() + blockMs)
    const isOurs = this.#close(session)
    if (blockMs > 0) this.#closeViewer(session.viewerKey)
    else if (isOurs && tokenlessRequests === 'session') {
      const unusedSinceMs = now() - UNUSED_MS - edgeTtlMs
      for (const other of store.sessionsOf(session.viewerKey))
        if (other.lastSeenAtMs < unusedSinceMs) this.#close(other)
      store.dropOthers(session.viewerKey)
    }
    return isOurs
  }

  /**
   * Closes the sessions of viewers who have been blocked elsewhere. To be called now and then.
   *
   * @param kept blocks of the last start
   */
  closeBlocked(kept?: readonly KeptBlock[]): void {
    const { blocks } = this.#options
    const viewers = [...blocks.learn(kept), ...this.#unfinished]
    this.#unfinished.clear()
    // The block may have been lifted.
    for (const viewerKey of viewers) if (blocks.untilMs(viewerKey) !== undefined) this.#closeViewer(viewerKey)
  }

  /** As many of his sessions as may be at once; the others' turn comes. He is refused already. */
  #closeViewer(viewerKey: string): void {
    const { store } = this.#options
    for (const session of store.sessionsOf(viewerKey)) this.#close(session)
    if (store.sessionsOf(viewerKey).length > 0) this.#unfinished.add(viewerKey)
  }

  /** False where it is another service's by now. */
  #close(session: Session): boolean {
    const { store, denyTtlMs, edgeTtlMs, onClosed } = this.#options
    if (store.close(session, 'operator') === 'moved') return false
    // Twice as long as nginx may repeat the admission: what it asks then is refused.
    onClosed(session, 403, denyTtlMs + 2 * edgeTtlMs)
    return true
  }
}
