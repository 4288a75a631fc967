import { once } from 'node:events'
import { Agent, get, type IncomingMessage } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'

export interface SteadyRequest {
  readonly port: number
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  /** Where it comes from: any of 127.0.0.0/8. */
  readonly address?: string
}

export interface Steady {
  /** Milliseconds of each request. */
  readonly times: number[]
  /** Answers other than 200. */
  refused: number
}

/** Sends requests when they are due, whether or not the earlier ones are answered, until there are no more. */
export async function steadily(perSecond: number, requests: Iterable<SteadyRequest>): Promise<Steady> {
  const agent = new Agent({ keepAlive: true })
  const result: Steady = { times: [], refused: 0 }
  const pending = new Set<Promise<void>>()
  const begin = performance.now()
  let count = 0
  for (const request of requests) {
    const wait = begin + (count++ * 1_000) / perSecond - performance.now()
    if (wait > 1) await delay(wait)
    const asked = send(agent, request, result).finally(() => pending.delete(asked))
    pending.add(asked)
  }
  await Promise.all(pending)
  agent.destroy()
  return result
}

async function send(agent: Agent, request: SteadyRequest, result: Steady): Promise<void> {
  const { port, path, headers = {}, address = '127.0.0.1' } = request
  const begin = performance.now()
  const [response] = (await once(
    get({ host: '127.0.0.1', localAddress: address, port, path, agent, headers }),
    'response',
  )) as [IncomingMessage]
  response.resume()
  await once(response, 'end')
  result.times.push(performance.now() - begin)
  if (response.statusCode !== 200) result.refused++
}
