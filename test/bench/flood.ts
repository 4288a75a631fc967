import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ROOT } from '../root.js'
import { deploy, fileOf } from './deployment.js'
import { quantile } from './statistics.js'
import { steadily, type SteadyRequest } from './steady.js'
import { wrk } from './wrk.js'

const VIEWERS = 1_000
// Each viewer asks every second, as with segments of two seconds and a playlist for each.
const REQUESTS_PER_SECOND = VIEWERS

export interface FloodFigures {
  readonly badTokens: number
  readonly floodPerSecond: number
  /** Milliseconds, of viewers who watch. */
  readonly p99Before: number
  readonly p99: number
  readonly viewersRefused: number
  readonly requestsWatched: number
  /** The service's memory in MB: before the flood, and the most during it. */
  readonly rssBefore: number
  readonly rssPeak: number
}

/** Row 9: bad tokens, each new, as fast as nginx takes them, in waves until there were enough, while others watch. */
export async function measureFlood(badTokens: number, waveSeconds: number): Promise<FloodFigures> {
  const deployment = await deploy()
  const { port, service } = deployment
  let isFlooded = false
  function* watching(until: () => boolean): Generator<SteadyRequest> {
    for (let count = 0; !until(); count++) {
      const viewer = count % VIEWERS
      // Not that of the flood, which may have only so many questions in flight.
      const address = `127.0.${1 + (viewer >> 8)}.${viewer & 255}`
      yield { port, path: `/play/a001/${fileOf('4 KB')}?token=good${viewer}`, address }
    }
  }
  const watchFor = (milliseconds: number) => {
    const end = performance.now() + milliseconds
    return steadily(
      REQUESTS_PER_SECOND,
      watching(() => performance.now() > end),
    )
  }
  // Everybody comes in, and then just watches.
  const { refused: refusedFirst } = await watchFor(2_000)
  const calm = await watchFor(waveSeconds * 1_000)
  const rssBefore = await memory(service.child.pid!, 'VmRSS')
  const watched = steadily(
    REQUESTS_PER_SECOND,
    watching(() => isFlooded),
  )
  const begin = performance.now()
  let sent = 0
  while (sent < badTokens) {
    const script = [join(ROOT, 'test/bench/flood.lua'), String(sent)]
    const wave = await wrk(`http://127.0.0.1:${port}`, { seconds: waveSeconds, script })
    if (wave.failed < wave.requests) throw new Error(`${wave.requests - wave.failed} bad tokens were let in`)
    sent += wave.requests
  }
  const floodPerSecond = (sent * 1_000) / (performance.now() - begin)
  isFlooded = true
  const { times, refused } = await watched
  const rssPeak = await memory(service.child.pid!, 'VmHWM')
  await deployment.stop()
  return {
    badTokens: sent,
    floodPerSecond,
    p99Before: quantile(calm.times, 0.99),
    p99: quantile(times, 0.99),
    viewersRefused: refusedFirst + calm.refused + refused,
    requestsWatched: times.length,
    rssBefore,
    rssPeak,
  }
}

/** Megabytes, as Linux counts them in /proc (proc_pid_status(5)). */
async function memory(pid: number, field: 'VmRSS' | 'VmHWM'): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(status)![1]) / 1_024
}
