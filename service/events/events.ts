import type { Logger } from 'pino'
import { now } from '../clock.js'
import type { Config } from '../config.js'
import type { Observer } from '../observer.js'
import { EventSender } from './event-sender.js'
import { SessionReporter } from './session-reporter.js'

/** Reports of sessions, where the operator wants them. */
export interface Events {
  readonly observers: readonly Observer[]
  /** Called now and then. */
  tick(): void
  close(): Promise<void>
}

export function startEvents(
  { eventsUrl, eventsMinDurationMs }: Pick<Config, 'eventsUrl' | 'eventsMinDurationMs'>,
  log: Logger,
): Events {
  if (eventsUrl === undefined) return { observers: [], tick() {}, close: async () => {} }
  const sender = new EventSender({
    url: eventsUrl,
    onLost: (count, why) => log.warn({ count, why }, 'EVENTS_URL does not take events: they are lost'),
  })
  const reporter = new SessionReporter({
    minDurationMs: eventsMinDurationMs,
    now,
    wallNow: Date.now,
    send: (event) => sender.send(event),
  })
  return { observers: [reporter], tick: () => reporter.tick(), close: () => sender.close() }
}
