import type { Logger } from 'pino'
import { loggedChannel } from './channel.js'
import type { DecisionEvent } from './questions.js'
import { shownFailure } from './decision.js'
import { textFromHeader } from './header-text.js'

/**
 * Writes a line for each decision that was newly made. A refusal is no error, and neither is a backend that said
 * no; an answer without a decision is worth a warning. No credentials, no query, no raw address.
 */
export function createDecisionLog(log: Logger): (event: DecisionEvent) => void {
  return ({ session, channelId, clientIp, verdict, answer, isRecheck, elapsedMs }) => {
    const fields = {
      outcome: verdict.allow ? 'allow' : 'deny',
      source: verdict.source,
      channel: loggedChannel(channelId),
      session: session.id,
      name: textFromHeader(session.name),
      ip: clientIp,
      recheck: isRecheck,
      backend: answer.outcome === 'unavailable' ? shownFailure(answer) : answer.status,
      ms: Math.round(elapsedMs),
    }
    if (answer.outcome === 'unavailable') log.warn(fields, 'decided without the backend')
    else log.info(fields, 'decided')
  }
}
