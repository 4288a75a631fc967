import { Agent, get } from 'node:http'

/** What a viewer has seen of one request. */
export interface Seen {
  /** 0 for a connection that broke off or was not answered within {@link PATIENCE_MS}. */
  readonly status: number
  readonly bytes: number
  readonly ms: number
}

const PATIENCE_MS = 15_000

/** Asks as players do: over connections that are kept. The target goes out byte for byte. */
export class Viewers {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: Infinity, maxFreeSockets: 2_000 })
  readonly #port: number

  constructor(port: number) {
    this.#port = port
  }

  ask(address: string, target: string, userAgent = 'player/1.0'): Promise<Seen> {
    const began = performance.now()
    return new Promise((resolve) => {
      const end = (status: number, bytes = 0) => resolve({ status, bytes, ms: performance.now() - began })
      const request = get(
        {
          agent: this.#agent,
          host: '127.0.0.1',
          port: this.#port,
          path: target,
          headers: { 'User-Agent': userAgent },
          localAddress: address,
          timeout: PATIENCE_MS,
        },
        (response) => {
          let bytes = 0
          response.on('data', (chunk: Buffer) => (bytes += chunk.length))
          response.once('close', () => end(response.complete ? response.statusCode! : 0, bytes))
        },
      )
      request.once('timeout', () => request.destroy())
      // A connection that nginx has closed meanwhile is no answer (RFC 9112, 9.3.1).
      request.once('error', () =>
        request.reusedSocket ? void this.ask(address, target, userAgent).then(resolve) : end(0),
      )
    })
  }

  close(): void {
    this.#agent.destroy()
  }
}

/** The addresses of one party, as far as this machine's loopback has them: `127.N.x.y`. */
export const addressOf = (party: number, number: number) =>
  `127.${party}.${Math.floor(number / 250)}.${(number % 250) + 1}`
