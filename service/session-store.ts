import { DenialMemory, type Denial } from './denial-memory.js'
import type { Session } from './session.js'
import type { SessionArchive } from './archive/session-archive.js'
import { SeenList, type Seen } from './seen-list.js'
import { ShardedMap } from './sharded-map.js'

export interface SessionStoreOptions {
  /** A session without a request for so long is forgotten. */
  readonly idleMs: number
  /** A denial is kept at least so long. */
  readonly denialMs: number
  /**
   * Most sessions remembered; beyond it the one seen longest ago goes, of those with very long texts first. One whose texts
   * are longer than {@link CHARACTERS_OF_ONE} counts as several, so that no viewer decides how much memory they take.
   */
  readonly maxSessions: number
  /** Most denials remembered; beyond it the older half goes. */
  readonly maxDenials: number
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number
  /** What outlives the service. */
  readonly archive: SessionArchive
  readonly onOpened?: (session: Session) => void
  readonly onClosed?: (session: Session, reason: CloseReason) => void
}

/**
 * Why a session is closed: no request for too long; no room for more; opened anew; refused by the backend at a re-check;
 * closed by an operator; or only forgotten here, because another service has it by now.
 */
export type CloseReason = 'idle' | 'full' | 'replaced' | 'refused' | 'operator' | 'moved'

/** After so long without a request here its viewer may have been at another service: nginx tries that for 10 s. */
const AWAY_MS = 10_000

/** A usual session has half as many characters. */
const CHARACTERS_OF_ONE = 512

/** With more it has to make room before all others do: one viewer can have many of these. */
const LONG_CHARACTERS = 2_048

/** Most sessions of one viewer that are gone through at once. */
const MAX_OF_VIEWER = 1_000

/** A session with its neighbours: by last request among all, and by opening among its viewer's. */
interface Entry extends Seen<Entry> {
  readonly session: Session
  openedBefore: Entry | undefined
  openedAfter: Entry | undefined
}

/**
 * What is remembered: sessions by key and by viewer, and denials apart from them, so that a flood of bad tokens
 * never pushes out a viewer who watches. Every operation takes constant time, however many sessions there are.
 */
export class SessionStore {
  readonly #entries = new ShardedMap<Entry>()
  readonly #newestOfViewer = new ShardedMap<Entry>()
  #weight = 0
  readonly #usual = new SeenList<Entry>()
  readonly #long = new SeenList<Entry>()
  readonly #denials: DenialMemory
  readonly #options: SessionStoreOptions

  constructor(options: SessionStoreOptions) {
    this.#options = options
    this.#denials = new DenialMemory({
      ...options,
      keepMs: options.denialMs,
      onRenew: () => options.archive.renewRefusals(),
    })
  }

  get sessionCount(): number {
    return this.#entries.size
  }

  /** The live session of a key; it counts as seen now. */
  session(key: string): Session | undefined {
    return this.#seen(this.#entries.get(key))
  }

  /** The live session that this viewer opened last, whatever its credentials; it counts as seen now. */
  newestSession(viewerKey: string): Session | undefined {
    for (;;) {
      const newest = this.#newestOfViewer.get(viewerKey)
      if (newest === undefined) return undefined
      // An idle one has just been closed: an older one may still be watched.
      const session = this.#seen(newest)
      if (session !== undefined) return session
    }
  }

  /** Remembers an admitted session, and no longer a denial of the same key. */
  open(session: Session): void {
    this.restore(session)
    this.#options.archive.put(session)
    this.#options.archive.pardon(session.key)
    this.#options.onOpened?.(session)
  }

  /** Notes what a backend has changed about a session. */
  changed(session: Session): void {
    if (this.has(session)) this.#options.archive.put(session)
  }

  /** The session of a key that another service has had until now. */
  recall(key: string): Session | undefined {
    return this.#takeOver(this.#options.archive.find(key))
  }

  /** The session that this viewer opened last at another service. */
  recallNewest(viewerKey: string): Session | undefined {
    return this.#takeOver(this.#options.archive.findNewest(viewerKey))
  }

  /** Forgets the sessions of a viewer that other services have. */
  dropOthers(viewerKey: string): void {
    this.#options.archive.dropOthers(viewerKey)
  }

  #takeOver(session: Session | undefined): Session | undefined {
    if (session === undefined) return undefined
    this.restore(session)
    this.#options.archive.put(session)
    return session
  }

  /** Takes a session over from the archive; the one seen longest ago comes first. */
  restore(session: Session): void {
    const replaced = this.#entries.get(session.key)
    if (replaced) this.#remove(replaced, 'replaced')
    const entry: Entry = {
      session,
      openedBefore: undefined,
      openedAfter: undefined,
      seenBefore: undefined,
      seenAfter: undefined,
    }
    this.#entries.set(session.key, entry)
    this.#weight += weightOf(session)
    this.#linkOpened(entry)
    this.#listOf(entry).append(entry)
    this.#denials.delete(session.key)
    while (this.#weight > this.#options.maxSessions) {
      const [next] = [this.#long.first, this.#usual.first].filter((one) => one !== undefined && one !== entry)
      if (next === undefined) return
      this.#forget(next, 'full')
    }
  }

  #listOf({ session }: Entry): SeenList<Entry> {
    return charactersOf(session) > LONG_CHARACTERS ? this.#long : this.#usual
  }

  /** Puts it behind those of its viewer that were opened later: there are some where another service had it. */
  #linkOpened(entry: Entry): void {
    const { viewerKey, openedAtMs } = entry.session
    let openedAfter: Entry | undefined
    let openedBefore = this.#newestOfViewer.get(viewerKey)
    for (let steps = 0; steps < MAX_OF_VIEWER && openedBefore; steps++) {
      if (openedBefore.session.openedAtMs <= openedAtMs) break
      openedAfter = openedBefore
      openedBefore = openedBefore.openedBefore
    }
    entry.openedBefore = openedBefore
    entry.openedAfter = openedAfter
    if (openedBefore) openedBefore.openedAfter = entry
    if (openedAfter) openedAfter.openedBefore = entry
    else this.#newestOfViewer.set(viewerKey, entry)
  }

  /**
   * Forgets this very session; another that has taken its place stays.
   *
   * @returns the reason that it is closed for: `moved` where another service has it by now; undefined where it was not
   *   open any more
   */
  close(session: Session, reason: 'refused' | 'operator'): CloseReason | undefined {
    const entry = this.#entries.get(session.key)
    return entry?.session === session ? this.#forget(entry, reason) : undefined
  }

  /** The sessions of one viewer, the one opened last first, a thousand at most. */
  sessionsOf(viewerKey: string): readonly Session[] {
    const sessions: Session[] = []
    let entry = this.#newestOfViewer.get(viewerKey)
    for (; entry && sessions.length < MAX_OF_VIEWER; entry = entry.openedBefore) sessions.push(entry.session)
    return sessions
  }

  /** All sessions in parts of some thousands at most, so that whoever goes through them can let others in between. */
  *parts(): Generator<Iterable<Session>> {
    for (const shard of this.#entries.shards()) yield sessionsOf(shard.values())
  }

  /** Whether this very session is open. */
  has(session: Session): boolean {
    return this.#entries.get(session.key)?.session === session
  }

  /** One of the last start is no longer fresh: it only stands in for a backend that is unavailable. */
  denial(key: string): Denial | undefined {
    const denial = this.#denials.get(key)
    if (denial !== undefined) return denial
    const refusal = this.#options.archive.refusal(key)
    return refusal && { refusal, freshUntilMs: 0 }
  }

  deny(key: string, denial: Denial): void {
    this.#denials.set(key, denial)
    this.#options.archive.refuse(key, denial.refusal)
  }

  /** Forgets what is idle, at most `most` of it. Called now and then it gives memory back; answers are right without it. */
  sweep(most: number): void {
    this.#denials.renew()
    for (const list of [this.#usual, this.#long])
      for (let count = 0; count < most && list.first && this.#isIdle(list.first); count++)
        this.#forget(list.first, 'idle')
  }

  #isIdle({ session }: Entry): boolean {
    return this.#options.now() - session.lastSeenAtMs > this.#options.idleMs
  }

  #seen(entry: Entry | undefined): Session | undefined {
    if (entry === undefined) return undefined
    if (this.#isIdle(entry)) {
      this.#forget(entry, 'idle')
      return undefined
    }
    const nowMs = this.#options.now()
    // He may have been at another service since.
    if (nowMs - entry.session.lastSeenAtMs > AWAY_MS && this.#options.archive.hasLost(entry.session)) {
      this.#remove(entry, 'moved')
      return undefined
    }
    entry.session.lastSeenAtMs = nowMs
    // Not each time: after a restart a session may seem a quarter of its idle time older than it is.
    if (nowMs - entry.session.archivedAtMs > this.#options.idleMs / 4) {
      entry.session.archivedAtMs = nowMs
      this.#options.archive.put(entry.session)
    }
    this.#listOf(entry).renew(entry)
    return entry.session
  }

  #forget(entry: Entry, reason: CloseReason): CloseReason {
    const why = reason === 'refused' ? 'refused' : reason === 'operator' ? 'closed' : 'forgotten'
    const isOurs = this.#options.archive.release(entry.session, why)
    const told = isOurs ? reason : 'moved'
    this.#remove(entry, told)
    return told
  }

  #remove(entry: Entry, reason: CloseReason): void {
    const { session, openedBefore, openedAfter } = entry
    this.#entries.delete(session.key)
    this.#weight -= weightOf(session)
    this.#listOf(entry).remove(entry)
    if (openedBefore) openedBefore.openedAfter = openedAfter
    if (openedAfter) openedAfter.openedBefore = openedBefore
    else if (openedBefore) this.#newestOfViewer.set(session.viewerKey, openedBefore)
    else this.#newestOfViewer.delete(session.viewerKey)
    this.#options.onClosed?.(session, reason)
  }
}

/** How many usual sessions need as much memory. */
function weightOf(session: Session): number {
  return Math.ceil(charactersOf(session) / CHARACTERS_OF_ONE)
}

function charactersOf({ key, viewerKey, path, query }: Session): number {
  return key.length + viewerKey.length + path.length + query.length
}

function* sessionsOf(entries: Iterable<Entry>): Generator<Session> {
  for (const { session } of entries) yield session
}
