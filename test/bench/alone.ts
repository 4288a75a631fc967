import { startServer, startService } from './processes.js'
import { median } from './statistics.js'
import { wrk } from './wrk.js'

/** What nginx sends about a viewer, with the token in the query. */
export function question(token: string, ip = '192.0.2.1'): Record<string, string> {
  return {
    'X-Original-URI': `/play/a001/low/0.ts?token=${token}`,
    'X-Real-Host': 'live.example.com',
    'X-Real-IP': ip,
    'X-Real-UA': 'Mozilla/5.0 (SMART-TV; Linux; Tizen 6.0) AppleWebKit/537.36',
  }
}

export interface AloneFigures {
  readonly service: number
  readonly bareHono: number
  readonly ratio: number
}

/** Row 6: requests per second of the service about a remembered session, and of a Hono that only replies the same. */
export async function measureAlone(rounds: number, seconds: number): Promise<AloneFigures> {
  const backend = await startServer('backend')
  const service = await startService({ BACKEND_URL: `http://127.0.0.1:${backend.port}/` })
  const hono = await startServer('hono')
  const figures = { service: [] as number[], hono: [] as number[] }
  for (let round = 0; round < rounds; round++) {
    for (const [name, { port }] of Object.entries({ service, hono })) {
      const load = await wrk(`http://127.0.0.1:${port}/auth`, { seconds, headers: question('good') })
      if (load.failed > 0) throw new Error(`${name}: ${load.failed} requests failed`)
      figures[name as keyof typeof figures].push(load.requestsPerSecond)
    }
  }
  for (const process of [service, hono, backend]) await process.stop()
  return {
    service: median(figures.service),
    bareHono: median(figures.hono),
    ratio: median(figures.service.map((own, round) => own / figures.hono[round]!)),
  }
}
