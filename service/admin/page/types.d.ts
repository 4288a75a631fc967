/** What the service answers, and the shape of a language. Never loaded by the page. */

export type Source = 'backend' | 'remembered' | 'open-door'

/** Why there is an outage: the log's word, or the status with which the backend fails. */
export type Cause = 'slow' | 'refused' | 'reset' | 'dns' | 'tls' | 'timeout' | 'malformed' | 'error' | number

/** Times are ISO 8601. */
export interface Session {
  readonly client_id: string
  readonly channel_id: string
  readonly addr: string
  /** Seconds. */
  readonly uptime: number
  /** Empty for none. */
  readonly name: string
  readonly host: string
  readonly user_agent: string
  readonly last_seen: string
  readonly source: Source
  /** When the backend is asked again; null for never. */
  readonly expires: string | null
}

export interface Sessions {
  /** How many there are with this filter, on all pages. */
  readonly total: number
  readonly offset: number
  readonly limit: number
  readonly sessions: readonly Session[]
}

/** A viewer who is kept out of a channel. */
export interface Block extends Pick<Session, 'client_id' | 'channel_id' | 'addr' | 'host' | 'user_agent'> {
  readonly blocked_until: string
}

export interface Status {
  readonly version: string
  /** Seconds. */
  readonly uptime: number
  readonly backend: {
    readonly type: string
    readonly url: string
    readonly state: 'up' | 'failing' | 'down' | 'unknown'
    /** How many of the last questions, in a row, had no decision. */
    readonly failures: number
    /** Why it has never answered since the service was first started; null where it has, or may be well. */
    readonly never_answered: Cause | null
    readonly in_flight: number
    /** Medians of 5 s each in ms, the oldest first, at most 60; null: there was no decision. */
    readonly latency: readonly (number | null)[]
  }
  readonly when_backend_down: 'allow' | 'deny'
  readonly outage: null | {
    readonly backend: Cause
    readonly since: string
    readonly seconds: number
    readonly admitted: number
  }
  /** So far, the present one included. */
  readonly outages: number
  readonly sessions: { readonly open: number; readonly watching: number } & Readonly<Record<Source, number>>
  /** The most watched first. */
  readonly channels: readonly { readonly channel_id: string; readonly watching: number }[]
  readonly last_minute: { readonly admitted: number; readonly refused: number }
}

/** A language: ru.js has what en.js has. */
export type Words = typeof import('./en.js').default

/** Words that depend on something. */
export interface Sentences {
  readonly [text: string]: unknown
  readonly sources: Readonly<Record<Source, string>>
  readonly causes: Readonly<Record<Exclude<Cause, number>, string>>
  service(version: string, uptime: string): string
  upIn(ms: number): string
  failing(n: number): string
  status(status: number): string
  outages(n: number): string
  latency(now: number, most: number): string
  showChannel(channel: string, n: number): string
  closeWhom(who: string, channel: string): string
  range(from: number, to: number, total: number): string
  reach(most: number): string
  matches(n: number): string
  closed(who: string, channel: string): string
  blocked(until: string): string
  gone(who: string, channel: string): string
  elsewhere(who: string, channel: string): string
  notClosed(who: string, why: string): string
  unsure(who: string, why: string): string
  blocks(n: number): string
  until(time: string): string
  liftWhom(addr: string, channel: string): string
  lifted(addr: string, channel: string): string
  notLifted(addr: string, why: string): string
  outage(since: string, cause: string): string
  neverAnswered(cause: string): string
  outageSoFar(n: number, lasting: string): string
  unreachable(since: string): string
  answered(status: number): string
}
