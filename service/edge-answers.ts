import type { Decision, EdgeLife, Refusal } from './decision.js'
import type { Session } from './session.js'

type Admission = Decision & { allowed: true }
type Rejection = Decision & { allowed: false }

const NOT_AT_THE_EDGE: EdgeLife = { freshMs: 0, isStaleAllowed: false }

/** How long nginx may repeat an admission that no backend has decided, or that it should decide again. */
const UNDECIDED_EDGE_MS = 2_000

/** Decisions with how long nginx may repeat them. */
export class EdgeAnswers {
  readonly #edgeTtlMs: number
  readonly #now: () => number

  /** @param edgeTtlMs 0 for an edge that repeats nothing */
  constructor(edgeTtlMs: number, now: () => number) {
    this.#edgeTtlMs = edgeTtlMs
    this.#now = now
  }

  /**
   * nginx may repeat an admission until the re-check, and one without a backend's word for a moment.
   *
   * @param isPostponed the re-check is due and cannot be now: its last word is worth no more than a moment either
   */
  admit(session: Session, source: Admission['source'], channelId: string, isPostponed = false): Decision {
    const { id, name, recheckAtMs } = session
    const isDecided = session.source === 'backend'
    const lifeMs = isDecided && !isPostponed ? recheckAtMs - this.#now() : UNDECIDED_EDGE_MS
    const freshMs = Math.min(this.#edgeTtlMs, lifeMs)
    const edge = { freshMs, isStaleAllowed: isDecided }
    return { allowed: true, source, sessionId: id, sessionName: name, channelId, edge }
  }

  /** A refusal that nginx may repeat as long as the service would. */
  refuseUntil(refusal: Refusal, source: Rejection['source'], channelId: string, untilMs: number): Decision {
    const freshMs = Math.min(this.#edgeTtlMs, untilMs - this.#now())
    return { allowed: false, source, refusal, channelId, edge: { freshMs, isStaleAllowed: true } }
  }
}

/** A refusal that nginx does not repeat. */
export function refuseOnce(
  refusal: Refusal,
  source: Rejection['source'],
  channelId: string | undefined,
): Decision {
  return { allowed: false, source, refusal, channelId, edge: NOT_AT_THE_EDGE }
}

/** Where a file's name is part of what was decided, nginx, which remembers by folder, must not remember. */
export function keepFromEdge(decision: Decision): Decision {
  return { ...decision, edge: NOT_AT_THE_EDGE }
}
