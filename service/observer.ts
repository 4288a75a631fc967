import type { DecisionEvent } from './questions.js'
import type { Decision } from './decision.js'
import type { Session } from './session.js'
import type { CloseReason } from './session-store.js'

/** What happens in the service, for those who count and report it. Nothing here may throw or take long. */
export interface Observer {
  /** Each answer to nginx. */
  onReply?(decision: Decision): void
  /** Each decision that was newly made. */
  onDecision?(event: DecisionEvent): void
  onOpened?(session: Session): void
  onClosed?(session: Session, reason: CloseReason): void
  /** The backend is down from now on: its last failure, or `slow`. */
  onOutage?(cause: string | number): void
}

/** One that tells all others, in their order. */
export function tellAll(observers: readonly Observer[]): Required<Observer> {
  // Asked once: an answer to nginx passes here a thousand times a second.
  const onReply = observers.filter((one) => 'onReply' in one)
  return {
    onReply: (decision) => {
      for (const one of onReply) one.onReply!(decision)
    },
    onDecision: (event) => observers.forEach((one) => one.onDecision?.(event)),
    onOpened: (session) => observers.forEach((one) => one.onOpened?.(session)),
    onClosed: (session, reason) => observers.forEach((one) => one.onClosed?.(session, reason)),
    onOutage: (cause) => observers.forEach((one) => one.onOutage?.(cause)),
  }
}
