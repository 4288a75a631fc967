/** What the service answers, and the shape of a language. Never loaded by the page. */

export type Words = typeof import('./en.js').default

export type Source = 'backend' | 'remembered' | 'open-door'

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

export interface Status {
  readonly version: string
  /** Seconds. */
  readonly uptime: number
  readonly backend: {
    readonly type: string
    readonly url: string
    readonly state: 'up' | 'down' | 'unknown'
    readonly in_flight: number
    /** Medians of 5 s each in ms, the oldest first, at most 60; null: nothing was asked. */
    readonly latency: readonly (number | null)[]
  }
  readonly when_backend_down: 'allow' | 'deny'
  readonly outage: null | { readonly since: string; readonly seconds: number; readonly admitted: number }
  /** So far, the present one included. */
  readonly outages: number
  readonly sessions: { readonly open: number; readonly watching: number } & Readonly<Record<Source, number>>
  /** The most watched first. */
  readonly channels: readonly { readonly channel_id: string; readonly watching: number }[]
  readonly last_minute: { readonly admitted: number; readonly refused: number }
}
