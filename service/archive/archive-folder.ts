import {
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'

export const PAGE_BYTES = 4_096

/** Starts in a row that did not come to their end, after which the folder's contents are given up. */
const MAX_BROKEN_STARTS = 2

/** Room for what opening writes: LMDB ends the process where there is none for its lock file. */
const ROOM_BYTES = 256 * 1_024

/** A folder in which LMDB can be opened without harm. */
export interface ArchiveFolder {
  /** For LMDB. */
  readonly path: string
  /** To be called when everything has been read. */
  readonly markRead: () => void
  /** To be called when it is not used any more. */
  readonly leave: () => void
}

/**
 * Makes sure of all that would end the process inside LMDB: no room, a file that may not be opened, one that is damaged.
 *
 * @param instance tells services that share the folder apart
 * @throws when the folder cannot be used
 */
export function prepareFolder(folder: string, instance: string): ArchiveFolder {
  const path = join(folder, 'sessions')
  mkdirSync(path, { recursive: true, mode: 0o700 })
  const data = join(path, 'data.mdb')
  for (const file of [data, join(path, 'lock.mdb')]) if (existsSync(file)) closeSync(openSync(file, 'r+'))
  const room = join(path, `room-${instance}`)
  try {
    writeFileSync(room, Buffer.alloc(ROOM_BYTES))
  } finally {
    rmSync(room, { force: true })
  }

  const marker = join(folder, `starting-${instance}`)
  // A damaged file may end the process while it is read, at each start anew: then it is given up, unless another service
  // may be at work with it.
  const brokenStarts = countIn(marker)
  const used = `used-by-${instance}`
  if (brokenStarts >= MAX_BROKEN_STARTS) {
    const others = readdirSync(folder).filter((name) => name.startsWith('used-by-') && name !== used)
    if (others.length > 0)
      throw new Error(
        'starts have broken off while it was read: stop all services that use it, and remove its contents',
      )
    rmSync(path, { recursive: true, force: true })
    mkdirSync(path, { mode: 0o700 })
  }
  writeFileSync(marker, String(brokenStarts >= MAX_BROKEN_STARTS ? 1 : brokenStarts + 1))

  if (!isWhole(data)) throw new Error('the file is damaged; remove it')
  writeFileSync(join(folder, used), '')
  return {
    path,
    markRead: () => rmSync(marker, { force: true }),
    leave: () => rmSync(join(folder, used), { force: true }),
  }
}

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
