import { join } from 'node:path'
import { ROOT } from '../root.js'
import { start } from './processes.js'
import { median } from './statistics.js'
import { wrk } from './wrk.js'

export interface CrowdRow {
  readonly sessions: number
  readonly bytesEach: number
  /** Milliseconds. */
  readonly p99: number
  readonly worstStall: number
}

/** Row 8: the same load on a service that remembers few and many sessions. */
export async function measureCrowd(
  sizes: readonly number[],
  rounds: number,
  seconds: number,
): Promise<CrowdRow[]> {
  const crowds = []
  for (const size of sizes) {
    const server = await start('test/bench/crowd-server.js', [String(size)])
    const bytesEach = Number(server.first.bytesEach)
    crowds.push({ size, server, bytesEach, p99: [] as number[], stalls: [] as number[] })
  }
  for (let round = 0; round < rounds; round++) {
    for (const { server, size, p99, stalls } of crowds) {
      const { port } = server
      await stallOf(port)
      const script = [join(ROOT, 'test/bench/viewers.lua'), String(size)]
      const load = await wrk(`http://127.0.0.1:${port}`, { seconds, connections: 16, script })
      if (load.failed > 0) throw new Error(`${size} sessions: ${load.failed} requests failed`)
      p99.push(load.p99)
      stalls.push(await stallOf(port))
    }
  }
  for (const { server } of crowds) await server.stop()
  return crowds.map(({ size, bytesEach, p99, stalls }) => ({
    sessions: size,
    bytesEach,
    p99: median(p99),
    worstStall: Math.max(...stalls),
  }))
}

async function stallOf(port: number): Promise<number> {
  return (await (await fetch(`http://127.0.0.1:${port}/stall`)).json()) as number
}
