import { createFetch } from 'ofetch'
import { Agent, Headers, fetch as undiciFetch } from 'undici'
import type { Failure } from '../decision.js'

/** One GET to a backend and what came of it. */
export type Outcome =
  | { readonly status: number; readonly header: (name: string) => string | undefined }
  | { readonly failure: Failure }

export interface ExchangeOptions {
  /** Deadline for the whole exchange, waiting for a free connection included. */
  readonly timeoutMs: number
  /** Most connections open at once; further questions wait for one. */
  readonly connections: number
}

/** GETs `target` (path and query, sent byte for byte) at `origin`. Never rejects. */
export interface Exchange {
  get(origin: string, target: string, headers: Readonly<Record<string, string>>): Promise<Outcome>
  close(): Promise<void>
}

// An answer's body is read so that its connection can be used again, but no more of it than this.
const MAX_BODY_BYTES = 64 * 1024

// What HTTP can carry. Only a viewer's bytes can be others: the answer to them is the one that a server would give,
// and no outage.
const TARGET = /^[\x21-\x7e\x80-\xff]*$/
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/

/**
 * HTTP towards backends. Each trap is held shut here: a question is asked once (a one-time token would not
 * survive a second), redirects are answers and are not followed, the body is not unpacked and is bounded, and
 * neither an error's message nor its stack, in which the address with the token stands, goes any further.
 */
export function createExchange({ timeoutMs, connections }: ExchangeOptions): Exchange {
  const agent = new Agent({ connections, connect: { timeout: timeoutMs } })
  // ofetch's types name the fetch of the DOM; undici's differs only in types that are not used here.
  const client = createFetch({
    fetch: undiciFetch as unknown as typeof globalThis.fetch,
    Headers: Headers as unknown as typeof globalThis.Headers,
  })

  // A URL would re-encode some of the viewer's bytes (', ", <, >, and all from 80 up): the target goes out as it is.
  const exactly = (target: string) =>
    agent.compose((dispatch) => (options, handler) => dispatch({ ...options, path: target }, handler))

  return {
    async get(origin, target, headers) {
      const isSendable =
        TARGET.test(target) && Object.values(headers).every((value) => HEADER_VALUE.test(value))
      if (!isSendable) return { status: 400, header: () => undefined }
      const deadline = new AbortController()
      const timer = setTimeout(() => deadline.abort(), timeoutMs)
      try {
        const response = await client.raw<unknown, 'stream'>(origin, {
          retry: 0,
          redirect: 'manual',
          ignoreResponseError: true,
          responseType: 'stream',
          signal: deadline.signal,
          headers: { 'user-agent': 'nginx-hls-auth', 'accept-encoding': 'identity', ...headers },
          dispatcher: exactly(target),
        } as Parameters<typeof client.raw>[1] & { responseType: 'stream' })
        void drain(response.body, deadline, timer)
        return { status: response.status, header: (name) => response.headers.get(name) ?? undefined }
      } catch (error) {
        clearTimeout(timer)
        return { failure: deadline.signal.aborted ? 'timeout' : failureOf(error) }
      }
    },
    close: () => agent.destroy(),
  }
}

/** Reads a body to its end, its bound or the deadline. The answer stands already: a body that fails changes nothing. */
async function drain(
  body: ReadableStream<Uint8Array> | null,
  deadline: AbortController,
  timer: NodeJS.Timeout,
): Promise<void> {
  let bytes = 0
  try {
    for await (const chunk of body ?? []) {
      bytes += chunk.byteLength
      if (bytes > MAX_BODY_BYTES) return deadline.abort()
    }
  } catch {
    // Cut off or too slow: its connection is closed, nothing else was wanted of it.
  } finally {
    clearTimeout(timer)
  }
}

const FAILURE_OF_CODE: Readonly<Record<string, Failure>> = {
  ECONNREFUSED: 'refused',
  ECONNRESET: 'reset',
  EPIPE: 'reset',
  UND_ERR_SOCKET: 'reset',
  ENOTFOUND: 'dns',
  EAI_AGAIN: 'dns',
  ETIMEDOUT: 'timeout',
  UND_ERR_CONNECT_TIMEOUT: 'timeout',
  UND_ERR_HEADERS_TIMEOUT: 'timeout',
  UND_ERR_HEADERS_OVERFLOW: 'malformed',
}

/** Finds the code in an error's causes, where fetch and ofetch wrap the socket's own error. */
function failureOf(error: unknown): Failure {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const code = 'code' in cause ? String(cause.code) : ''
    const known = FAILURE_OF_CODE[code]
    if (known !== undefined) return known
    if (cause.name === 'HTTPParserError') return 'malformed'
    if (/^(ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_)/.test(code)) return 'tls'
  }
  return 'error'
}
