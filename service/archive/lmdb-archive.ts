import { join } from 'node:path'
import { open, type Database, type RootDatabase } from 'lmdb'
import { PAGE_BYTES, prepareFolder } from './archive-folder.js'
import { ArchiveRoom } from './archive-room.js'
import type { Refusal } from '../decision.js'
import { DIGEST_BYTES, digestOf } from '../digest.js'
import type { KeptBlock, SessionArchive } from './session-archive.js'
import { keep, revive, type KeptSession } from './kept-session.js'
import { partsOf, viewerKeyOf, type Session } from '../session.js'

export interface OpenArchiveOptions {
  /** A folder of its own; made where it is missing. */
  readonly folder: string
  /** The same at each start, and another for each service that shares the folder. */
  readonly instance: string
  /** Milliseconds of the service's monotonic clock. */
  readonly now: () => number
  /** Milliseconds of the wall clock, by which times outlive a restart. */
  readonly wallNow: () => number
  /** Sessions that were last seen longer ago are not given back, with {@link CLOCK_SLACK_MS} for a clock that was set. */
  readonly idleMs: number
  /** Called when nothing can be written any more; it is tried again after {@link PAUSE_MS}. */
  readonly onFailure: (error: Error) => void
  /** Called when it can be written again. */
  readonly onRecovery: () => void
}

/** How far the wall clock may be set while the service is down, without sessions lost by it. */
const CLOCK_SLACK_MS = 2 * 3_600_000

/**
 * Nothing is written for so long after a failure. Whoever watches is put in again before long, since that is when he was
 * seen; what an operator or a refusal has ended meanwhile is made up for.
 */
const PAUSE_MS = 30_000

/** Most of what is made up for after a failure; beyond it the oldest is lost. */
const MAX_OWED = 10_000

/** Most sessions of one viewer that are looked at for his newest. */
const MAX_OF_VIEWER = 100

/** An archive, and what was in it. */
export interface OpenedArchive {
  readonly archive: SessionArchive
  readonly sessions: readonly Session[]
  readonly blocks: readonly KeptBlock[]
}

/**
 * Opens the archive (LMDB: what was put survives `kill -9` of the process as soon as it is committed, some milliseconds
 * later) and gives this service's sessions back, those seen longest ago first. Others' are found when they are asked for.
 *
 * @throws when the folder cannot be written or holds something else
 */
export function openArchive(options: OpenArchiveOptions): OpenedArchive {
  const { instance, now, wallNow, idleMs } = options
  const { path, markRead, leave } = prepareFolder(options.folder, instance)
  // Without batches: one that fails rejects a promise that nobody can catch, which ends the process.
  const root: RootDatabase = open({ path, pageSize: PAGE_BYTES, maxDbs: 5, eventTurnBatching: false })
  // What a service that was killed still holds would keep the file growing.
  root.readerCheck()
  const database: Database<KeptSession, Buffer> = root.openDB({ name: 'sessions', ...FORMAT })
  // Two generations, as in memory: letting go of one takes no time. All services write to the same.
  const refusals = ['refusals-0', 'refusals-1'].map((name) =>
    root.openDB<[refusal: Refusal, at: number], Buffer>({ name, ...FORMAT }),
  )
  const blockBase = root.openDB<Omit<KeptBlock, 'untilMs'> & { readonly until: number }, Buffer>({
    name: 'blocks',
    ...FORMAT,
  })
  const counters = root.openDB<number, string>({ name: 'counters' })
  const generation = () => counters.get('generation') ?? 0
  let knownGeneration = generation()
  // What is not yet committed counts, too.
  const young = () => refusals[Math.max(knownGeneration, generation()) % 2]!

  const toWall = () => wallNow() - now()
  const isFresh = (at: number, ms: number) => wallNow() - at <= ms + CLOCK_SLACK_MS
  const isUsable = ({ key, id, seenAt }: Partial<KeptSession>) =>
    typeof key === 'string' && typeof id === 'string' && isFresh(seenAt ?? 0, idleMs)
  const kept: KeptSession[] = []
  const tooOld: Buffer[] = []
  for (const { key: hash, value } of database.getRange()) {
    if (!isUsable(value)) tooOld.push(hash)
    else if (value.by === instance) kept.push(value)
  }
  const sessions = kept
    .toSorted((one, other) => one.seenAt - other.seenAt)
    .map((one) => revive(one, toWall(), now()))
  let knownChange = counters.get(CHANGE_OF_BLOCKS)
  const allBlocks = () =>
    Array.from(blockBase.getRange(), ({ value: { viewerKey, sessionId, until } }) => ({
      viewerKey,
      sessionId,
      untilMs: until - toWall(),
    }))
  const blocks = allBlocks()
  markRead()

  let pausedUntilMs = 0
  let hasFailed = false
  const fail = (error: unknown) => {
    pausedUntilMs = now() + PAUSE_MS
    if (hasFailed) return
    hasFailed = true
    options.onFailure(error instanceof Error ? error : new Error(String(error)))
  }
  const failWriting = async (error: unknown) => {
    pausedUntilMs = now() + PAUSE_MS
    fail(await wordsOf(error))
  }
  const room = new ArchiveRoom({
    file: join(path, 'data.mdb'),
    lastPage: () => (root.getStats() as { lastPageNumber: number }).lastPageNumber,
    now,
    onFull: fail,
  })
  try {
    room.fill()
  } catch (error) {
    // What is there has been read all the same.
    fail(error)
  }
  /** What must be written as soon as it can be, by what it is about. */
  const owed = new Map<string, () => Promise<unknown>>()
  const owe = (about: string, write: () => Promise<unknown>) => {
    owed.set(about, write)
    if (owed.size > MAX_OWED) owed.delete(owed.keys().next().value!)
  }
  const settle = () => {
    // What cannot be written now either is owed again.
    const writes = [...owed]
    for (const [about, write] of writes) attempt(write, about)
  }
  const succeed = () => {
    if (now() < pausedUntilMs) return
    if (hasFailed) options.onRecovery()
    hasFailed = false
    if (owed.size > 0 && room.hasRoom()) settle()
  }
  /** @param about where it must not be lost */
  const attempt = (write: () => Promise<unknown>, about?: string) => {
    if (about !== undefined) owed.delete(about)
    const lose = () => about !== undefined && owe(about, write)
    if (now() < pausedUntilMs || !room.hasRoom()) {
      lose()
      return
    }
    try {
      write().then(succeed, (error: unknown) => {
        lose()
        return failWriting(error)
      })
    } catch (error) {
      lose()
      fail(error)
    }
  }
  const look = <T>(read: () => T): T | undefined => {
    try {
      return read()
    } catch (error) {
      fail(error)
      return undefined
    }
  }
  for (const hash of tooOld) attempt(() => database.remove(hash))
  for (const { viewerKey, untilMs } of blocks)
    if (untilMs <= now()) attempt(() => blockBase.remove(digestOf(viewerKey)))
  // What this service has put itself is in its memory, or was forgotten a moment ago.
  const isOthers = ({ key: hash, value }: { key: Buffer; value: KeptSession | undefined }) =>
    value !== undefined && value.by !== instance && isUsable(value) && !owed.has(nameOf(hash))
  /** Whether another service has it since it was last put here. */
  const isTaken = (kept: KeptSession, session: Session) =>
    kept.by !== instance && kept.seenAt > session.archivedAtMs + toWall() + 1
  const keptOf = (viewerKey: string) => {
    const start = digestOf(viewerKey)
    const end = Buffer.concat([start, Buffer.alloc(DIGEST_BYTES + 1, 0xff)])
    const range = database.getRange({ start, end, limit: MAX_OF_VIEWER })
    return [...range].filter(({ value }) => viewerKeyIn(value.key) === viewerKey)
  }

  const archive: SessionArchive = {
    put(session) {
      const hash = hashOfSession(session)
      if (owed.size > 0) owed.delete(nameOf(hash))
      attempt(() => database.put(hash, keep(session, toWall(), instance)))
    },
    release(session, why) {
      const hash = hashOfSession(session)
      const kept = look(() => database.get(hash))
      if (kept !== undefined && why !== 'refused' && isTaken(kept, session)) return false
      attempt(() => database.remove(hash), why === 'forgotten' ? undefined : nameOf(hash))
      return true
    },
    hasLost(session) {
      const kept = look(() => database.get(hashOfSession(session)))
      return kept === undefined ? archive.refusal(session.key) !== undefined : isTaken(kept, session)
    },
    dropOthers(viewerKey) {
      for (const one of look(() => keptOf(viewerKey).filter(isOthers)) ?? [])
        attempt(() => database.remove(one.key), nameOf(one.key))
    },
    find: (key) =>
      look(() => {
        const hash = hashOfSession({ viewerKey: viewerKeyIn(key), key })
        const value = database.get(hash)
        return isOthers({ key: hash, value }) && value!.key === key
          ? revive(value!, toWall(), now())
          : undefined
      }),
    findNewest: (viewerKey) =>
      look(() => {
        const [newest] = keptOf(viewerKey)
          .filter(isOthers)
          .toSorted((one, other) => other.value.openedAt - one.value.openedAt)
        return newest && revive(newest.value, toWall(), now())
      }),
    refuse: (key, refusal) => attempt(() => young().put(digestOf(key), [refusal, wallNow()])),
    pardon(key) {
      const hash = digestOf(key)
      for (const half of refusals) if (look(() => half.doesExist(hash))) attempt(() => half.remove(hash))
    },
    refusal: (key) =>
      look(() => {
        const hash = digestOf(key)
        const [refusal, at] = refusals.map((half) => half.get(hash)).find(Boolean) ?? []
        return at !== undefined && isFresh(at, 2 * idleMs) ? refusal : undefined
      }),
    block({ viewerKey, sessionId, untilMs }) {
      const hash = digestOf(viewerKey)
      const until = untilMs + toWall()
      attempt(() => blockBase.put(hash, { viewerKey, sessionId, until }), nameOf(hash))
      // Another number than any service has seen.
      attempt(() => counters.put(CHANGE_OF_BLOCKS, Math.random()), CHANGE_OF_BLOCKS)
    },
    changedBlocks: () =>
      look(() => {
        const change = counters.get(CHANGE_OF_BLOCKS)
        if (change === knownChange) return undefined
        knownChange = change
        return allBlocks()
      }),
    renewRefusals() {
      // Another service may have done so meanwhile.
      const current = look(generation) ?? 0
      if (current > knownGeneration) {
        knownGeneration = current
        return
      }
      knownGeneration++
      attempt(() => counters.put('generation', knownGeneration))
      attempt(() => refusals[knownGeneration % 2]!.clearAsync())
    },
    async close() {
      try {
        settle()
        // After a failure LMDB may wait for ever.
        if (!hasFailed) await root.flushed
        await root.close()
        leave()
      } catch (error) {
        fail(error)
      }
    },
  }
  return { archive, sessions, blocks }
}

/** LMDB's own words come by a promise apart, which ends the process where nobody waits for it. */
async function wordsOf(error: unknown): Promise<unknown> {
  try {
    await (error as { commitError?: Promise<never> }).commitError
    return error
  } catch (words) {
    return words
  }
}

const FORMAT = { keyEncoding: 'binary', encoding: 'msgpack' } as const

/** A counter that is another whenever a block is. */
const CHANGE_OF_BLOCKS = 'blocks'

const viewerKeyIn = (key: string) => viewerKeyOf(key, partsOf(key).credentials)

const nameOf = (hash: Buffer) => hash.toString('latin1')

/** One viewer's sessions stand side by side. */
const hashOfSession = ({ viewerKey, key }: Pick<Session, 'viewerKey' | 'key'>) =>
  Buffer.concat([digestOf(viewerKey), digestOf(key)])
