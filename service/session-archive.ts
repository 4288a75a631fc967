import { createHash } from 'node:crypto'
import {
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { open, type Database, type RootDatabase } from 'lmdb'
import type { Refusal } from './decision.js'
import { MAX_RECHECK_MS, partsOf, viewerKeyOf, type Session } from './session.js'

/** Where sessions outlive the service. Nothing here throws, and nothing waits for the disk. */
export interface SessionArchive {
  /** Takes a session in, or what has changed about it. */
  put(session: Session): void
  remove(session: Session): void
  /** Keeps a refusal, and gives it back until two renewals later. */
  refuse(key: string, refusal: Refusal): void
  pardon(key: string): void
  refusal(key: string): Refusal | undefined
  /** Lets go of the older half of all refusals. */
  renewRefusals(): void
  /** Everything that was put, written. */
  close(): Promise<void>
}

export interface OpenArchiveOptions {
  /** A folder of its own; made where it is missing. */
  readonly folder: string
  /** Milliseconds of the service's monotonic clock. */
  readonly now: () => number
  /** Milliseconds of the wall clock, by which times outlive a restart. */
  readonly wallNow: () => number
  /** Sessions that were last seen longer ago are not given back, with {@link CLOCK_SLACK_MS} for a clock that was set. */
  readonly idleMs: number
  /** Called once when nothing can be written any more: the archive takes nothing from then on. */
  readonly onFailure: (error: Error) => void
}

/** What is kept of a session; times by the wall clock, null for never. */
interface Kept {
  readonly key: string
  readonly id: string
  readonly path: string
  readonly query: string
  readonly name: string
  readonly source: Session['source']
  readonly openedAt: number
  readonly seenAt: number
  readonly recheckAt: number | null
}

/** How far the wall clock may be set while the service is down, without sessions lost by it. */
const CLOCK_SLACK_MS = 2 * 3_600_000

/** Starts in a row that did not come to their end, after which the folder's contents are given up. */
const MAX_BROKEN_STARTS = 2

/** An archive that keeps nothing. */
export const NO_ARCHIVE: SessionArchive = {
  put() {},
  remove() {},
  refuse() {},
  pardon() {},
  refusal: () => undefined,
  renewRefusals() {},
  close: async () => {},
}

/**
 * Opens the archive (LMDB: what was put survives `kill -9` of the process as soon as it is committed, some milliseconds
 * later) and gives its sessions back, those seen longest ago first.
 *
 * @throws when the folder cannot be written or holds something else
 */
export function openArchive(options: OpenArchiveOptions): { archive: SessionArchive; sessions: Session[] } {
  const { folder, now, wallNow, idleMs, onFailure } = options
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const path = join(folder, 'sessions')
  const marker = join(folder, 'starting')
  // A damaged file may end the process while it is read, at each start anew: then it is given up.
  const brokenStarts = countIn(marker)
  if (brokenStarts >= MAX_BROKEN_STARTS) rmSync(path, { recursive: true, force: true })
  writeFileSync(marker, String(brokenStarts >= MAX_BROKEN_STARTS ? 1 : brokenStarts + 1))

  if (!isWhole(join(path, 'data.mdb'))) throw new Error('the file is damaged; remove it')
  const root: RootDatabase = open({ path, pageSize: PAGE_BYTES, maxDbs: 3 })
  const database: Database<Kept, Buffer> = root.openDB({ name: 'sessions', ...FORMAT })
  // Two generations, as in memory: letting go of one takes no time.
  let [young, old] = ['refusals-0', 'refusals-1'].map((name) =>
    root.openDB<[refusal: Refusal, at: number], Buffer>({ name, ...FORMAT }),
  ) as [Refusals, Refusals]
  const kept: Kept[] = []
  for (const { key: hash, value } of database.getRange()) {
    const isUsable = typeof value?.key === 'string' && typeof value.id === 'string'
    if (isUsable && wallNow() - value.seenAt <= idleMs + CLOCK_SLACK_MS) kept.push(value)
    else void database.remove(hash)
  }
  const sessions = kept
    .toSorted((one, other) => one.seenAt - other.seenAt)
    .map((one) => revive(one, now() - wallNow(), now()))
  rmSync(marker, { force: true })

  let hasFailed = false
  const fail = (error: unknown) => {
    if (hasFailed) return
    hasFailed = true
    onFailure(error instanceof Error ? error : new Error(String(error)))
  }
  const attempt = (write: () => Promise<boolean>) => {
    if (hasFailed) return
    try {
      write().catch(fail)
    } catch (error) {
      fail(error)
    }
  }
  const archive: SessionArchive = {
    put: (session) => attempt(() => database.put(hashOf(session.key), keep(session, wallNow() - now()))),
    remove: (session) => attempt(() => database.remove(hashOf(session.key))),
    refuse: (key, refusal) => attempt(() => young.put(hashOf(key), [refusal, wallNow()])),
    pardon(key) {
      const hash = hashOf(key)
      for (const refusals of [young, old]) if (refusals.doesExist(hash)) attempt(() => refusals.remove(hash))
    },
    refusal(key) {
      if (hasFailed) return undefined
      const hash = hashOf(key)
      const [refusal, at] = young.get(hash) ?? old.get(hash) ?? []
      return at !== undefined && wallNow() - at <= 2 * idleMs + CLOCK_SLACK_MS ? refusal : undefined
    },
    renewRefusals() {
      ;[young, old] = [old, young]
      attempt(() => young.clearAsync().then(() => true))
    },
    async close() {
      try {
        await root.flushed
      } catch (error) {
        fail(error)
      }
      await root.close()
    },
  }
  return { archive, sessions }
}

function keep(session: Session, toWall: number): Kept {
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
  }
}

/** The viewer has had no service to ask: he counts as seen now. */
function revive(kept: Kept, toMonotonic: number, nowMs: number): Session {
  const { key, id, path, query, name, source, openedAt, recheckAt } = kept
  return {
    key,
    viewerKey: viewerKeyOf(key, partsOf(key).credentials),
    id,
    path,
    query,
    name,
    source,
    openedAtMs: Math.min(Math.round(openedAt + toMonotonic), nowMs),
    lastSeenAtMs: nowMs,
    recheckAtMs:
      recheckAt === null ? Infinity : Math.min(Math.round(recheckAt + toMonotonic), nowMs + MAX_RECHECK_MS),
    failedChecks: 0,
    archivedAtMs: nowMs,
  }
}

const FORMAT = { keyEncoding: 'binary', encoding: 'msgpack' } as const

type Refusals = Database<[refusal: Refusal, at: number], Buffer>

/** LMDB's keys are short. */
const hashOf = (key: string) => createHash('sha256').update(key, 'latin1').digest()

const PAGE_BYTES = 4_096

/**
 * LMDB reads its file as memory, so that a file which is cut short or something else altogether ends the process. Its
 * first two pages say how far the file must go (struct MDB_meta of lmdb-js: magic and version at 24, last page at 144,
 * transaction at 152).
 */
function isWhole(file: string): boolean {
  if (!existsSync(file)) return true
  const head = Buffer.alloc(2 * PAGE_BYTES)
  const descriptor = openSync(file, 'r')
  const read = readSync(descriptor, head, 0, head.length, 0)
  const { size } = fstatSync(descriptor)
  closeSync(descriptor)
  if (size === 0) return true
  const pages = [head.subarray(0, PAGE_BYTES), head.subarray(PAGE_BYTES)]
  if (read < head.length || pages.some((page) => page.readUInt32LE(24) !== 0xbeefc0de)) return false
  const [newest] = pages.toSorted((one, other) =>
    Number(other.readBigUInt64LE(152) - one.readBigUInt64LE(152)),
  )
  return (Number(newest!.readBigUInt64LE(144)) + 1) * PAGE_BYTES <= size
}

function countIn(file: string): number {
  try {
    return Number(readFileSync(file, 'utf8')) || 1
  } catch {
    return 0
  }
}
