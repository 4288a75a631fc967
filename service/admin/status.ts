import type { Cause } from '../backends/guard/verdict.js'
import { withoutSecrets, type Config } from '../config.js'
import type { OutageAccount } from '../outage-account.js'
import type { Census } from './census.js'
import type { Recent } from './recent.js'
import { isoTime, type Moment } from './session-view.js'

export interface StatusOptions {
  readonly version: string
  readonly config: Pick<Config, 'backendType' | 'backendUrl' | 'whenBackendDown'>
  readonly startedAtMs: number
  readonly account: OutageAccount
  readonly questionsInFlight: () => number
  /** Why it has never answered since the service was first started; undefined where it has, or may be well. */
  readonly neverAnswered: () => Cause | undefined
  readonly recent: Recent
}

/** What `GET /status` tells. */
export function statusOf(options: StatusOptions, { sessions, channels }: Census, moment: Moment): object {
  const { config, account, recent } = options
  const { outage } = account
  const seconds = (sinceMs: number) => Math.floor((moment.nowMs - sinceMs) / 1_000)
  return {
    version: options.version,
    uptime: seconds(options.startedAtMs),
    backend: {
      type: config.backendType,
      url: withoutSecrets(config.backendUrl.href),
      state: outage ? 'down' : recent.failures > 0 ? 'failing' : recent.hasAnswered ? 'up' : 'unknown',
      failures: recent.failures,
      never_answered: options.neverAnswered() ?? null,
      in_flight: options.questionsInFlight(),
      latency: recent.latency,
    },
    when_backend_down: config.whenBackendDown,
    outage: outage
      ? {
          backend: outage.backend,
          since: isoTime(outage.beganAtMs, moment),
          seconds: seconds(outage.beganAtMs),
          admitted: outage.admitted,
        }
      : null,
    outages: account.outages,
    sessions,
    channels,
    last_minute: recent.lastMinute,
  }
}
