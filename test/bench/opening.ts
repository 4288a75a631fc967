import { question } from './alone.js'
import { startServer, startService } from './processes.js'
import { quantile } from './statistics.js'
import { steadily, type SteadyRequest } from './steady.js'

const VIEWERS_PER_SECOND = 500

export interface OpeningFigures {
  /** Milliseconds beyond those of the same questions put to the backend itself. */
  readonly addedP50: number
  readonly addedP99: number
}

/** Row 7: new viewers at a steady rate, each asked about at a backend that takes its time. */
export async function measureOpening(rounds: number, seconds: number): Promise<OpeningFigures> {
  const backend = await startServer('slow')
  const service = await startService({ BACKEND_URL: `http://127.0.0.1:${backend.port}/` })
  let viewer = 0
  function* requests(port: number): Generator<SteadyRequest> {
    for (let count = 0; count < VIEWERS_PER_SECOND * seconds; count++) {
      viewer++
      const headers = question(`good${viewer}`, `10.0.${(viewer >> 8) & 255}.${viewer & 255}`)
      yield { port, path: '/auth', headers }
    }
  }
  const direct: number[] = []
  const through: number[] = []
  // The first round warms up both sides: a service that has just started compiles while it answers.
  for (let round = 0; round <= rounds; round++) {
    for (const [{ port }, times] of [[backend, direct] as const, [service, through] as const]) {
      const measured = await steadily(VIEWERS_PER_SECOND, requests(port))
      if (measured.refused > 0) throw new Error(`${measured.refused} new viewers were refused`)
      if (round > 0) times.push(...measured.times)
    }
  }
  await service.stop()
  await backend.stop()
  const added = (part: number) => quantile(through, part) - quantile(direct, part)
  return { addedP50: added(0.5), addedP99: added(0.99) }
}
