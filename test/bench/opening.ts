import { once } from 'node:events'
import { Agent, get } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { question } from './alone.js'
import { startServer, startService } from './processes.js'
import { quantile } from './statistics.js'

const VIEWERS_PER_SECOND = 500

export interface OpeningFigures {
  /** Milliseconds beyond those of the same questions put to the backend itself. */
  readonly addedP50: number
  readonly addedP99: number
}

/** Row 7: new viewers at a steady rate, each asked about at a backend that takes its time. */
export async function measureOpening(rounds: number, seconds: number): Promise<OpeningFigures> {
  const backend = await startServer('slow')
  const service = await startService({
    BACKEND_URL: `http://127.0.0.1:${backend.port}/`,
    MAX_SESSIONS: '1000000',
  })
  const direct: number[] = []
  const through: number[] = []
  let viewer = 0
  for (let round = 0; round < rounds; round++) {
    direct.push(...(await ask(backend.port, seconds, () => question('good'))))
    through.push(
      ...(await ask(service.port, seconds, () =>
        question(`good${viewer++}`, `10.0.${(viewer >> 8) & 255}.${viewer & 255}`),
      )),
    )
  }
  await service.stop()
  await backend.stop()
  const added = (part: number) => quantile(through, part) - quantile(direct, part)
  return { addedP50: added(0.5), addedP99: added(0.99) }
}

/** Sends requests when they are due, whether or not the earlier ones are answered, and returns their milliseconds. */
async function ask(
  port: number,
  seconds: number,
  headersOf: () => Record<string, string>,
): Promise<number[]> {
  const agent = new Agent({ keepAlive: true })
  const pending: Promise<number>[] = []
  const begin = performance.now()
  for (let count = 0; count < VIEWERS_PER_SECOND * seconds; count++) {
    const wait = begin + (count * 1_000) / VIEWERS_PER_SECOND - performance.now()
    if (wait > 1) await delay(wait)
    pending.push(timed(port, agent, headersOf()))
  }
  const times = await Promise.all(pending)
  agent.destroy()
  return times
}

async function timed(port: number, agent: Agent, headers: Record<string, string>): Promise<number> {
  const begin = performance.now()
  const request = get({ host: '127.0.0.1', port, path: '/auth', agent, headers })
  const [response] = (await once(request, 'response')) as [import('node:http').IncomingMessage]
  response.resume()
  await once(response, 'end')
  if (response.statusCode !== 200) throw new Error(`a new viewer got ${response.statusCode}`)
  return performance.now() - begin
}
