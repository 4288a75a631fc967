import { join } from 'node:path'
import { ROOT } from '../root.js'
import { question } from './alone.js'
import { start, type Measured } from './processes.js'
import { median, quantile } from './statistics.js'
import { steadily, type SteadyRequest } from './steady.js'
import { wrk, type Load } from './wrk.js'

/** Requests per second of the steady load: far below what saturates the service, so that none waits for another. */
export const STEADY_PER_SECOND = 2_000

// Beyond those of viewers.lua.
let newViewer = 1_000_000_000

export interface CrowdRow {
  readonly sessions: number
  readonly bytesEach: number
  /** Milliseconds, at the steady rate. */
  readonly p99: number
  /** That to the first row's, the median of the rounds' ratios. */
  readonly p99Ratio: number
  /** Of a load that saturates the service: requests per second, and milliseconds. */
  readonly saturated: { readonly requestsPerSecond: number; readonly p99: number }
  /** Milliseconds, in either load. */
  readonly worstStall: number
}

interface Crowd {
  readonly size: number
  readonly server: Measured
  readonly bytesEach: number
  /** By round. */
  readonly p99: number[]
  readonly loads: Load[]
  readonly stalls: number[]
}

/** Row 8: the same loads on a service that remembers few and many sessions. */
export async function measureCrowd(
  sizes: readonly number[],
  rounds: number,
  seconds: number,
): Promise<CrowdRow[]> {
  const crowds: Crowd[] = []
  for (const size of sizes) {
    const server = await start('test/bench/crowd-server.js', [String(size)])
    const bytesEach = Number(server.first.bytesEach)
    crowds.push({ size, server, bytesEach, p99: [], loads: [], stalls: [] })
  }
  for (let round = 0; round < rounds; round++) {
    for (const { server, size, p99, loads, stalls } of crowds) {
      const { port } = server
      await stallOf(port)
      const script = [join(ROOT, 'test/bench/viewers.lua'), String(size)]
      const load = await wrk(`http://127.0.0.1:${port}`, { seconds, connections: 16, script })
      loads.push(load)
      const { times, refused } = await steadily(STEADY_PER_SECOND, viewers(port, size, seconds))
      p99.push(quantile(times, 0.99))
      if (load.failed + refused > 0)
        throw new Error(`${size} sessions: ${load.failed + refused} requests failed`)
      stalls.push(await stallOf(port))
    }
  }
  for (const { server } of crowds) await server.stop()
  return crowds.map(({ size, bytesEach, p99, loads, stalls }) => ({
    sessions: size,
    bytesEach,
    p99: median(p99),
    p99Ratio: median(p99.map((own, round) => own / crowds[0]!.p99[round]!)),
    saturated: {
      requestsPerSecond: median(loads.map((load) => load.requestsPerSecond)),
      p99: median(loads.map((load) => load.p99)),
    },
    worstStall: Math.max(...stalls),
  }))
}

/** As viewers.lua. */
function* viewers(port: number, size: number, seconds: number): Generator<SteadyRequest> {
  for (let count = 0; count < STEADY_PER_SECOND * seconds; count++) {
    const isNew = count % 100 === 0
    const viewer = isNew ? newViewer++ : Math.floor(Math.random() * size)
    const ip = `10.${(viewer >> 16) & 255}.${(viewer >> 8) & 255}.${viewer & 255}`
    const channel = `a${String(viewer % 500).padStart(3, '0')}`
    const uri = `/play/${channel}/low/1.ts?token=good${viewer}`
    yield { port, path: '/auth', headers: { ...question('', ip), 'X-Original-URI': uri } }
  }
}

async function stallOf(port: number): Promise<number> {
  return (await (await fetch(`http://127.0.0.1:${port}/stall`)).json()) as number
}
