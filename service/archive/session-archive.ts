import type { Refusal } from '../decision.js'
import type { Session } from '../session.js'

/**
 * Where sessions outlive the service, and where services on one machine find each other's. Nothing here throws, and
 * nothing waits for the disk.
 */
export interface SessionArchive {
  /** Takes a session in, or what has changed about it. */
  put(session: Session): void
  /**
   * Removes a session that this service has forgotten, or that an operator has closed here, unless it is another's by now;
   * and one that was refused in any case. What is closed or refused does not come back at the next start, also where it
   * cannot be removed at once.
   *
   * @returns false where it is another's and stays
   */
  release(session: Session, why: 'forgotten' | 'closed' | 'refused'): boolean
  /** Whether another service has taken this session over, or has ended it. */
  hasLost(session: Session): boolean
  /** Removes what other services have of this viewer. */
  dropOthers(viewerKey: string): void
  /** Another service's session of this key. */
  find(key: string): Session | undefined
  /** The session that this viewer has opened last at another service. */
  findNewest(viewerKey: string): Session | undefined
  /** Keeps a refusal, and gives it back until two renewals later. */
  refuse(key: string, refusal: Refusal): void
  pardon(key: string): void
  refusal(key: string): Refusal | undefined
  /** Keeps a block, or what has changed about it. All services are told. */
  block(block: KeptBlock): void
  /** All blocks, also other services' and some that are over; undefined where none has changed since the last call. */
  changedBlocks(): readonly KeptBlock[] | undefined
  /** Lets go of the older half of all refusals. */
  renewRefusals(): void
  /** Everything that was put, written. */
  close(): Promise<void>
}

/** A block that outlives the service. */
export interface KeptBlock {
  readonly viewerKey: string
  readonly sessionId: string
  /** By the service's monotonic clock. */
  readonly untilMs: number
}

/** An archive that keeps nothing. */
export const NO_ARCHIVE: SessionArchive = {
  put() {},
  release: () => true,
  hasLost: () => false,
  dropOthers() {},
  find: () => undefined,
  findNewest: () => undefined,
  refuse() {},
  pardon() {},
  refusal: () => undefined,
  block() {},
  changedBlocks: () => undefined,
  renewRefusals() {},
  close: async () => {},
}
