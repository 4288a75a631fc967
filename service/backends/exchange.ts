import { Agent as HttpAgent, request as requestHttp, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as requestHttps } from 'node:https'
import type { Readable } from 'node:stream'
import { createFetch } from 'ofetch'
import { now } from '../clock.js'
import type { Failure } from '../decision.js'
import { NameCache } from './name-cache.js'

/** One GET to a backend and what came of it. */
export type Outcome =
  | { readonly status: number; readonly header: (name: string) => string | undefined }
  | {
      readonly failure: Failure
      /** The error's own, such as ENOTFOUND; undefined where it has none. Holds no address. */
      readonly code: string | undefined
    }

export interface ExchangeOptions {
  /** Deadline for the answer's head, looking the name up and connecting included. */
  readonly timeoutMs: number
  /** How long after the deadline a silent backend counts as still at work, in milliseconds; 30 s by default. */
  readonly lingerMs?: number | undefined
}

/** GETs `target` (path and query, sent byte for byte) at `origin`. Never rejects. */
export interface Exchange {
  /**
   * @param onReleased called once, when the backend has nothing more to do with the question: with its answer's end, or
   *   when it hangs up after the deadline. It works on although nobody waits: a PHP worker is not free before that.
   */
  get(
    origin: string,
    target: string,
    headers: Readonly<Record<string, string>>,
    onReleased?: () => void,
  ): Promise<Outcome>
  close(): Promise<void>
}

// A body is read so that the backend can finish what it does behind it, but no more of it than this.
const MAX_BODY_BYTES = 64 * 1024

/** PHP's own limit for a script (`max_execution_time`). */
const LINGER_MS = 30_000

// What HTTP can carry. Only a viewer's bytes can be others: the answer to them is the one that a server would give,
// and no outage.
const TARGET = /^[\x21-\x7e\x80-\xff]*$/
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/

/** What every question says beside its own headers. */
export const OWN_HEADERS = {
  'User-Agent': 'nginx-hls-auth',
  'Accept-Encoding': 'identity',
  Connection: 'close',
} as const

/**
 * HTTP towards backends. Each trap is held shut here: a question is asked once (a one-time token would not
 * survive a second), redirects are answers and are not followed, the body is not unpacked and is bounded, and
 * neither an error's message nor its stack, in which the address with the token stands, goes any further.
 *
 * Each question has a connection of its own. Bytes that follow an answer late, as behind a Content-Length that is too
 * short, would on a kept connection be the answer to the next viewer's question.
 */
export function createExchange({ timeoutMs, lingerMs = LINGER_MS }: ExchangeOptions): Exchange {
  const asking = new Set<() => void>()
  const { lookup } = new NameCache(now)
  const agents: Agents = {
    http: new HttpAgent({ keepAlive: false, lookup }),
    // Keeps the sessions of TLS: with them a connection costs one round trip less, and no certificates.
    https: new HttpsAgent({ keepAlive: false, lookup }),
  }
  const fetch = createFetch({
    fetch: ((origin: string, options: GetOptions) => getExactly(agents, origin, options)) as unknown as Fetch,
  })

  return {
    async get(origin, target, headers, onReleased = () => {}) {
      const isSendable =
        TARGET.test(target) && Object.values(headers).every((value) => HEADER_VALUE.test(value))
      if (!isSendable) {
        onReleased()
        return { status: 400, header: () => undefined }
      }
      try {
        const response = await fetch.raw(origin, {
          retry: 0,
          ignoreResponseError: true,
          target,
          sent: { ...OWN_HEADERS, ...headers },
          timeoutMs,
          lingerMs,
          asking,
          onReleased,
        } as Parameters<typeof fetch.raw>[1])
        return { status: response.status, header: (name) => response.headers.get(name) ?? undefined }
      } catch (error) {
        return failureOf(error)
      }
    },
    async close() {
      for (const hangUp of asking) hangUp()
    },
  }
}

type Fetch = typeof globalThis.fetch

interface Agents {
  readonly http: HttpAgent
  readonly https: HttpsAgent
}

interface GetOptions {
  readonly target: string
  /** Apart from ofetch's headers, which change names to lower case: what the manual shows is sent. */
  readonly sent: Readonly<Record<string, string>>
  readonly timeoutMs: number
  readonly lingerMs: number
  /** Hangs up, for each question that the backend is at work on. */
  readonly asking: Set<() => void>
  readonly onReleased: () => void
}

/**
 * What ofetch takes for a fetch. A real one puts the target through a URL, which re-encodes some of the viewer's bytes
 * (', ", <, >, and all from 80 up), follows redirects, allocates 80 KB for each question, and keeps connections.
 */
function getExactly(agents: Agents, origin: string, options: GetOptions): Promise<FetchedHead> {
  const { sent, target, timeoutMs, lingerMs, asking, onReleased } = options
  const { protocol, hostname, port } = new URL(origin)
  const isTls = protocol === 'https:'
  const outgoing = (isTls ? requestHttps : requestHttp)({
    agent: isTls ? agents.https : agents.http,
    // A URL has the brackets of IPv6, a name to look up has not.
    hostname: hostname.replace(/^\[(.*)\]$/, '$1'),
    port,
    path: target,
    headers: sent,
  })
  const hangUp = () => outgoing.destroy()
  asking.add(hangUp)
  // A question that has not reached the backend, or is answered, is no work for it any more.
  let isAtWork = false
  return new Promise((resolve, reject) => {
    const deadline = setTimeout(() => {
      reject(new DeadlineError())
      if (isAtWork && lingerMs > 0) linger = setTimeout(hangUp, lingerMs)
      else hangUp()
      // What comes now is nobody's, and no reason to read for ever.
      if (outgoing.socket) bound(outgoing.socket, hangUp)
    }, timeoutMs)
    let linger: NodeJS.Timeout | undefined
    outgoing.once('error', reject)
    outgoing.once('finish', () => (isAtWork = true))
    outgoing.once('response', (incoming) => {
      isAtWork = false
      resolve(headOf(incoming))
      // The answer stands already: a body that is cut off, too slow or too long changes nothing.
      incoming.once('error', hangUp)
      bound(incoming, hangUp)
    })
    outgoing.once('close', () => {
      // No error comes with a 101, which nobody has asked for.
      reject(new HangUpError())
      clearTimeout(deadline)
      clearTimeout(linger)
      asking.delete(hangUp)
      onReleased()
    })
    outgoing.end()
  })
}

/** Reads, and reads no more than so much. */
function bound(stream: Readable, hangUp: () => void): void {
  let bytes = 0
  stream.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > MAX_BODY_BYTES) hangUp()
  })
}

/** As much of a Response as ofetch and the dialects read. */
interface FetchedHead {
  readonly status: number
  readonly headers: { get(name: string): string | null }
}

function headOf({ statusCode = 0, headersDistinct }: IncomingMessage): FetchedHead {
  const get = (name: string) => headersDistinct[name]?.join(', ') ?? null
  return { status: statusCode, headers: { get } }
}

class DeadlineError extends Error {}

class HangUpError extends Error {
  readonly code = 'ECONNRESET'
}

const FAILURE_OF_CODE: Readonly<Record<string, Failure>> = {
  ECONNREFUSED: 'refused',
  ECONNRESET: 'reset',
  EPIPE: 'reset',
  ENOTFOUND: 'dns',
  EAI_AGAIN: 'dns',
  ETIMEDOUT: 'timeout',
}

/** Finds the code in an error's causes, where ofetch wraps the socket's own error. */
function failureOf(error: unknown): Outcome {
  let unknown: string | undefined
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof DeadlineError) return { failure: 'timeout', code: undefined }
    const code = 'code' in cause && typeof cause.code === 'string' ? cause.code : undefined
    const known = FAILURE_OF_CODE[code ?? '']
    if (known !== undefined) return { failure: known, code }
    // Node's parser: HPE_HEADER_OVERFLOW, HPE_INVALID_CONSTANT …
    if (code?.startsWith('HPE_')) return { failure: 'malformed', code }
    if (/^(ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_)/.test(code ?? '')) {
      return { failure: 'tls', code }
    }
    if (code === 'EPROTO') return { failure: 'tls', code: opensslCode(cause.message) }
    unknown ??= code
  }
  return { failure: 'error', code: unknown }
}

/** `ERR_SSL_WRONG_VERSION_NUMBER`, as Node itself calls OpenSSL's errors where it is not in the middle of a write. */
function opensslCode(message: string): string {
  const reason = /:SSL routines:[^:]*:([^:]+)/.exec(message)?.[1]
  return reason === undefined ? 'EPROTO' : `ERR_SSL_${reason.toUpperCase().replaceAll(' ', '_')}`
}
