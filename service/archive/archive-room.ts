import { appendFileSync, statSync } from 'node:fs'
import { appendFile } from 'node:fs/promises'
import { PAGE_BYTES } from './archive-folder.js'

/** So much of the file lies ahead of what LMDB has written … */
const ROOM_BYTES = 8 * 1_048_576
/** … and is made in such steps; with less than one left nothing is written. */
const STEP_BYTES = 1_048_576

/** It is looked after at least once in so many writes, and in so much time. */
const WRITES = 500
const LOOK_MS = 1_000

export interface ArchiveRoomOptions {
  /** LMDB's file. */
  readonly file: string
  /** The last page that LMDB uses. */
  readonly lastPage: () => number
  readonly now: () => number
  /** There is no more room on the disk, or no file. */
  readonly onFull: (error: Error) => void
}

/**
 * Room in LMDB's file before it is needed. Where a write of LMDB's fails, lmdb-js (3.5.6) spoils the process's memory; so
 * the disk must be found full before LMDB finds it so. Bytes are only ever appended, which no writer can mistake.
 */
export class ArchiveRoom {
  #writes = 0
  #lookAtMs = -Infinity
  #hasRoom = true
  #isGrowing = false
  readonly #options: ArchiveRoomOptions

  constructor(options: ArchiveRoomOptions) {
    this.#options = options
  }

  /**
   * Makes all of the room, at once.
   *
   * @throws where the disk is full
   */
  fill(): void {
    this.#hasRoom = false
    while (this.#left() < ROOM_BYTES) appendFileSync(this.#options.file, STEP)
    this.#hasRoom = true
  }

  /** Whether something may be written now. Never throws. */
  hasRoom(): boolean {
    const nowMs = this.#options.now()
    if (++this.#writes < WRITES && nowMs - this.#lookAtMs < LOOK_MS) return this.#hasRoom
    this.#writes = 0
    this.#lookAtMs = nowMs
    try {
      const left = this.#left()
      if (left < STEP_BYTES) this.#hasRoom = false
      if ((left < ROOM_BYTES || !this.#hasRoom) && !this.#isGrowing) void this.#grow()
    } catch (error) {
      // Somebody has removed the file.
      this.#hasRoom = false
      this.#options.onFull(error as Error)
    }
    return this.#hasRoom
  }

  async #grow(): Promise<void> {
    this.#isGrowing = true
    try {
      do await appendFile(this.#options.file, STEP)
      while (this.#left() < ROOM_BYTES)
      this.#hasRoom = true
    } catch (error) {
      this.#hasRoom = false
      this.#options.onFull(error as Error)
    }
    this.#isGrowing = false
  }

  #left(): number {
    const { file, lastPage } = this.#options
    return statSync(file).size - (lastPage() + 1) * PAGE_BYTES
  }
}

const STEP = Buffer.alloc(STEP_BYTES)
