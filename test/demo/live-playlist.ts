import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** What stands in media/live: files 0.ts to 9.ts of 2 s each. */
export const LIVE_SEGMENTS = 10
export const LIVE_SEGMENT_SECONDS = 2
const WINDOW = 5

/**
 * The sliding window over the loop of segments that a player sees at one moment (RFC 8216, section 6.2.2).
 *
 * @param sequence number of the window's first segment, counted from any beginning
 */
export function livePlaylist(sequence: number): string {
  const lines = [
    '#EXTM3U',
    '#EXT-X-VERSION:3',
    `#EXT-X-TARGETDURATION:${LIVE_SEGMENT_SECONDS}`,
    `#EXT-X-MEDIA-SEQUENCE:${sequence}`,
    // Counts the discontinuities that have left the window: one stands before the first segment of each round.
    `#EXT-X-DISCONTINUITY-SEQUENCE:${Math.ceil(sequence / LIVE_SEGMENTS)}`,
  ]
  for (let number = sequence; number < sequence + WINDOW; number++) {
    if (number % LIVE_SEGMENTS === 0) lines.push('#EXT-X-DISCONTINUITY')
    lines.push(`#EXTINF:${LIVE_SEGMENT_SECONDS.toFixed(3)},`, `${number % LIVE_SEGMENTS}.ts`)
  }
  return `${lines.join('\n')}\n`
}

/**
 * Keeps `index.m3u8` in a folder moving, one segment each target duration, by the wall clock: a demo that starts
 * again goes on where players expect it.
 *
 * @returns a function that ends it
 */
export async function keepLive(dir: string, now: () => number = Date.now): Promise<() => void> {
  const sequence = () => Math.floor(now() / 1_000 / LIVE_SEGMENT_SECONDS)
  const write = async () => {
    const fresh = join(dir, '.index.m3u8')
    await writeFile(fresh, livePlaylist(sequence()))
    await rename(fresh, join(dir, 'index.m3u8'))
  }
  await write()
  // A folder that is gone by now belongs to a demo that is ending.
  const timer = setInterval(
    () => void write().catch(() => clearInterval(timer)),
    LIVE_SEGMENT_SECONDS * 1_000,
  )
  return () => clearInterval(timer)
}
