import { textFromHeader } from '../header-text.js'
import { partsOf, type Session } from '../session.js'
import { SESSION_SOURCES, sourceOf, type SessionSource } from './session-view.js'

const ORDERS = ['last_seen', 'uptime', 'channel_id', 'name', 'addr', 'expires'] as const
type Order = (typeof ORDERS)[number]

const MAX_LIMIT = 1_000
/** Who needs what lies further back filters. */
const MAX_REACH = 10_000

/** Which sessions are asked for, and in what order. */
export interface Search {
  readonly channel: string | undefined
  /** A part of the name, in lower case. */
  readonly name: string | undefined
  readonly ip: string | undefined
  readonly source: SessionSource | undefined
  readonly order: Order
  readonly isDescending: boolean
  readonly offset: number
  readonly limit: number
}

/**
 * Reads the parameters of `GET /sessions`.
 *
 * @returns a sentence that says what is wrong with them, where something is
 */
export function parseSearch(params: Readonly<Record<string, string>>): Search | string {
  const { channel, name, ip, source, sort = '-last_seen', offset = '0', limit = '100', ...others } = params
  const [unknown] = Object.keys(others)
  if (unknown !== undefined)
    return `${unknown}: is no parameter; there are channel, name, ip, source, sort, offset and limit`
  const order = sort.replace(/^-/, '') as Order
  if (!ORDERS.includes(order))
    return `sort="${sort}": must be one of ${ORDERS.join(', ')}, with - in front for descending`
  if (source && !SESSION_SOURCES.includes(source as SessionSource))
    return `source="${source}": must be one of ${SESSION_SOURCES.join(', ')}`
  const [from, most] = [offset, limit].map((text) => (/^\d{1,6}$/.test(text) ? Number(text) : NaN)) as [
    number,
    number,
  ]
  if (!(most >= 1 && most <= MAX_LIMIT))
    return `limit="${limit}": must be a whole number from 1 to ${MAX_LIMIT}`
  if (!(from + most <= MAX_REACH))
    return `offset="${offset}": offset and limit together must not exceed ${MAX_REACH}; use a filter`
  return {
    channel: channel || undefined,
    name: name?.toLowerCase() || undefined,
    ip: ip || undefined,
    source: (source || undefined) as SessionSource | undefined,
    order,
    isDescending: sort.startsWith('-'),
    offset: from,
    limit: most,
  }
}

/**
 * Finds a page of sessions among any number of them. Only as many are kept at a time as the page needs, so that a
 * million sessions cost no more memory than a thousand.
 */
export class SessionSearch {
  #best: Found[] = []
  /** The last of as many as are needed, from the first cut on. */
  #last: Found | undefined
  #total = 0
  readonly #search: Search
  readonly #reach: number

  constructor(search: Search) {
    this.#search = search
    this.#reach = search.offset + search.limit
  }

  /** Takes a session into account. */
  visit(session: Session): void {
    if (!this.#matches(session)) return
    this.#total++
    const found = { session, rank: rankOf(session, this.#search.order) }
    // Sorting is what costs: who comes behind the last of a full page needs none.
    if (this.#last !== undefined && this.#compare(found, this.#last) > 0) return
    this.#best.push(found)
    if (this.#best.length >= 2 * this.#reach) this.#cut()
  }

  /** How many there are, and the page that was asked for. */
  result(): { readonly total: number; readonly sessions: readonly Session[] } {
    this.#cut()
    return {
      total: this.#total,
      sessions: this.#best.slice(this.#search.offset).map(({ session }) => session),
    }
  }

  #matches(session: Session): boolean {
    const { channel, name, ip, source } = this.#search
    if (source !== undefined && sourceOf(session) !== source) return false
    if (name !== undefined && !textFromHeader(session.name).toLowerCase().includes(name)) return false
    if (channel === undefined && ip === undefined) return true
    const { channelId, clientIp } = partsOf(session.key)
    return (channel === undefined || channelId === channel) && (ip === undefined || clientIp === ip)
  }

  #cut(): void {
    this.#best.sort((one, other) => this.#compare(one, other))
    this.#best.length = Math.min(this.#best.length, this.#reach)
    this.#last = this.#best[this.#reach - 1]
  }

  #compare(one: Found, other: Found): number {
    if (one.rank !== other.rank) return one.rank < other.rank !== this.#search.isDescending ? -1 : 1
    // The same order each time, whatever the shards' is.
    return one.session.id < other.session.id ? -1 : 1
  }
}

interface Found {
  readonly session: Session
  readonly rank: string | number
}

function rankOf(session: Session, order: Order): string | number {
  switch (order) {
    case 'last_seen':
      return session.lastSeenAtMs
    case 'uptime':
      return -session.openedAtMs
    case 'expires':
      return session.recheckAtMs
    case 'name':
      return textFromHeader(session.name).toLowerCase()
    case 'channel_id':
      return partsOf(session.key).channelId
    case 'addr':
      return partsOf(session.key).clientIp
  }
}
