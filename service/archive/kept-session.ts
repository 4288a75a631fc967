import { MAX_RECHECK_MS, partsOf, viewerKeyOf, type Session } from '../session.js'

/** What is kept of a session; times by the wall clock, null for never. */
export interface KeptSession {
  readonly key: string
  readonly id: string
  readonly path: string
  readonly query: string
  readonly name: string
  readonly source: Session['source']
  readonly openedAt: number
  readonly seenAt: number
  readonly recheckAt: number | null
  /** The service that keeps it. */
  readonly by: string
}

/** @param toWall what the wall clock is ahead of the service's, in milliseconds */
export function keep(session: Session, toWall: number, by: string): KeptSession {
  const { key, id, path, query, name, source, openedAtMs, lastSeenAtMs, recheckAtMs } = session
  return {
    key,
    id,
    path,
    query,
    name,
    source,
    openedAt: openedAtMs + toWall,
    seenAt: lastSeenAtMs + toWall,
    recheckAt: recheckAtMs === Infinity ? null : recheckAtMs + toWall,
    by,
  }
}

/** The viewer has had no service to ask: he counts as seen now. */
export function revive(kept: KeptSession, toWall: number, nowMs: number): Session {
  const { key, id, path, query, name, source, openedAt, recheckAt } = kept
  return {
    key,
    viewerKey: viewerKeyOf(key, partsOf(key).credentials),
    id,
    path,
    query,
    name,
    source,
    openedAtMs: Math.min(Math.round(openedAt - toWall), nowMs),
    lastSeenAtMs: nowMs,
    recheckAtMs:
      recheckAt === null ? Infinity : Math.min(Math.round(recheckAt - toWall), nowMs + MAX_RECHECK_MS),
    failedChecks: 0,
    archivedAtMs: nowMs,
  }
}
