import type { KeptBlock, SessionArchive } from './archive/session-archive.js'
import { partsOf, type Session, type SessionParts } from './session.js'

/** A viewer whom an operator has blocked on a channel. */
export interface Block extends Omit<SessionParts, 'credentials'> {
  /** Of the session that was closed. */
  readonly sessionId: string
  readonly untilMs: number
}

/** More than an operator blocks by hand. */
export const MAX_BLOCKS = 10_000

type BlockArchive = Pick<SessionArchive, 'block' | 'changedBlocks'>

/** Viewers whom an operator has blocked, by viewer key: whatever token they bring. */
export class BlockList {
  readonly #blocks = new Map<string, Block>()
  readonly #now: () => number
  readonly #archive: BlockArchive

  /** @param now milliseconds of a clock that never goes back */
  constructor(now: () => number, archive: BlockArchive) {
    this.#now = now
    this.#archive = archive
  }

  get size(): number {
    return this.#blocks.size
  }

  /** Until when a viewer is blocked, or undefined. */
  untilMs(viewerKey: string): number | undefined {
    const untilMs = this.#blocks.get(viewerKey)?.untilMs
    if (untilMs === undefined || this.#now() < untilMs) return untilMs
    this.#blocks.delete(viewerKey)
    return undefined
  }

  /** Blocks a session's viewer. With {@link MAX_BLOCKS} there, the oldest is lifted. */
  add({ viewerKey, id }: Pick<Session, 'viewerKey' | 'id'>, untilMs: number): void {
    const block = { viewerKey, sessionId: id, untilMs }
    this.#put(block)
    this.#archive.block(block)
  }

  /** Lifts the block that came with the closing of this session; false where there is none. */
  lift(sessionId: string): boolean {
    for (const [viewerKey, block] of this.entries()) {
      if (block.sessionId !== sessionId) continue
      this.#lift(viewerKey, block)
      return true
    }
    return false
  }

  /**
   * Takes over what other services have done, or the last start. Called now and then.
   *
   * @returns the keys of viewers who are blocked anew
   */
  learn(kept: readonly KeptBlock[] | undefined = this.#archive.changedBlocks()): readonly string[] {
    const anew: string[] = []
    for (const block of kept ?? []) {
      const { viewerKey, sessionId, untilMs } = block
      const known = this.#blocks.get(viewerKey)
      if (untilMs <= this.#now()) {
        if (known?.sessionId === sessionId) this.#blocks.delete(viewerKey)
      } else if (known === undefined || known.untilMs < untilMs) {
        this.#put(block)
        if (known === undefined) anew.push(viewerKey)
      }
    }
    return anew
  }

  #put({ viewerKey, sessionId, untilMs }: KeptBlock): void {
    const { host, channelId, clientIp, userAgent } = partsOf(viewerKey)
    this.#blocks.delete(viewerKey)
    this.#blocks.set(viewerKey, { sessionId, host, channelId, clientIp, userAgent, untilMs })
    const [oldest] = this.#blocks
    if (this.#blocks.size > MAX_BLOCKS) this.#lift(...oldest!)
  }

  #lift(viewerKey: string, { sessionId }: Block): void {
    this.#blocks.delete(viewerKey)
    // Over from now on: so other services learn of it.
    this.#archive.block({ viewerKey, sessionId, untilMs: this.#now() })
  }

  /** Those in force, by viewer key. */
  *entries(): Generator<readonly [viewerKey: string, block: Block]> {
    for (const entry of this.#blocks) if (this.untilMs(entry[0]) !== undefined) yield entry
  }
}
