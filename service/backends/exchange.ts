import { createFetch } from 'ofetch'
import { Agent, Headers } from 'undici'
import type { Failure } from '../decision.js'

/** One GET to a backend and what came of it. */
export type Outcome =
  | { readonly status: number; readonly header: (name: string) => string | undefined }
  | {
      readonly failure: Failure
      /** The error's own, such as ENOTFOUND; undefined where it has none. Holds no address. */
      readonly code: string | undefined
    }

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

/** What every question says beside its own headers. */
export const OWN_HEADERS = { 'user-agent': 'nginx-hls-auth', 'accept-encoding': 'identity' } as const

/**
 * HTTP towards backends. Each trap is held shut here: a question is asked once (a one-time token would not
 * survive a second), redirects are answers and are not followed, the body is not unpacked and is bounded, and
 * neither an error's message nor its stack, in which the address with the token stands, goes any further.
 */
export function createExchange({ timeoutMs, connections }: ExchangeOptions): Exchange {
  const agent = new Agent({ connections, connect: { timeout: timeoutMs } })
  const fetch = createFetch({
    fetch: ((origin: string, options: GetOptions) => getExactly(agent, origin, options)) as unknown as Fetch,
    Headers: Headers as unknown as typeof globalThis.Headers,
  })

  return {
    async get(origin, target, headers) {
      const isSendable =
        TARGET.test(target) && Object.values(headers).every((value) => HEADER_VALUE.test(value))
      if (!isSendable) return { status: 400, header: () => undefined }
      const deadline = new AbortController()
      const timer = setTimeout(() => deadline.abort(), timeoutMs)
      try {
        const response = await fetch.raw(origin, {
          retry: 0,
          ignoreResponseError: true,
          signal: deadline.signal,
          headers: { ...OWN_HEADERS, ...headers },
          target,
          onEnd: () => clearTimeout(timer),
        } as Parameters<typeof fetch.raw>[1])
        return { status: response.status, header: (name) => response.headers.get(name) ?? undefined }
      } catch (error) {
        clearTimeout(timer)
        return deadline.signal.aborted ? { failure: 'timeout', code: undefined } : failureOf(error)
      }
    },
    close: () => agent.destroy(),
  }
}

type Fetch = typeof globalThis.fetch

interface GetOptions {
  readonly headers: Headers
  readonly signal: AbortSignal
  readonly target: string
  /** Called when the body has been read, too. */
  readonly onEnd: () => void
}

/**
 * What ofetch takes for a fetch. A real one puts the target through a URL, which re-encodes some of the viewer's bytes
 * (', ", <, >, and all from 80 up), follows redirects, and allocates 80 KB for each question, which at 500 new viewers a
 * second stops the service for 6 ms three times a second.
 */
async function getExactly(agent: Agent, origin: string, { headers, signal, target, onEnd }: GetOptions) {
  // undici heeds the signal only once there is a connection, and not while it waits for a name or for a free one.
  const response = await Promise.race([
    agent.request({ origin, path: target, method: 'GET', headers, signal }),
    rejectionBy(signal),
  ])
  // The answer stands already: a body that is cut off, too slow or too long changes nothing.
  void response.body.dump({ limit: MAX_BODY_BYTES }).finally(onEnd)
  return {
    status: response.statusCode,
    headers: { get: (name: string) => [response.headers[name] ?? []].flat().join(', ') || null },
  }
}

function rejectionBy(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
  })
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
  // What undici also calls each error of its parser behind a Content-Length.
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'malformed',
}

/** Finds the code in an error's causes, where fetch and ofetch wrap the socket's own error. */
function failureOf(error: unknown): Outcome {
  let unknown: string | undefined
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const code = 'code' in cause && typeof cause.code === 'string' ? cause.code : undefined
    const known = FAILURE_OF_CODE[code ?? '']
    if (known !== undefined) return { failure: known, code }
    if (cause.name === 'HTTPParserError') return { failure: 'malformed', code }
    if (/^(ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_)/.test(code ?? '')) {
      return { failure: 'tls', code }
    }
    unknown ??= code
  }
  return { failure: 'error', code: unknown }
}
