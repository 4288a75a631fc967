import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { OWN_NAME } from '../../service/backends/astra.js'
import type { BackendType } from '../../service/config.js'
import { ROOT } from '../root.js'
import { createDialect, type DemoAnswer } from './dialects.js'

/** One question that the middleware was asked. */
export interface AskedQuestion {
  /** Request target, undecoded. */
  readonly target: string
  /** What stands behind the first `?`, undecoded. */
  readonly query: string
  readonly headers: IncomingMessage['headers']
  readonly rawHeaders: readonly string[]
}

/** The demo's middleware. Its portal is at /portal; it also serves the player's page and fresh tokens. */
export interface DemoMiddleware {
  /** Those about viewers; not the service's own, which are about nobody. */
  readonly questions: AskedQuestion[]
  /** How many of the service's own there were. */
  readonly ownQuestions: number
  issueToken(): string
  /** Answers all questions with this instead of the dialect's rules; undefined to go back to them. */
  answerWith(answer: DemoHandler | undefined): void
  /** The same for questions about viewers alone: it is one of theirs that fails. */
  answerViewersWith(answer: DemoHandler): void
  /** @returns the port */
  listen(port?: number, host?: string): Promise<number>
  close(): Promise<void>
}

export type DemoHandler = (request: IncomingMessage, response: ServerResponse) => void

export const DEMO_CHANNELS = ['a001', 'b002', 'live'] as const

// A real middleware relies on Astra's headers; a viewer may be without a User-Agent.
const REQUIRED_HEADERS = ['x-session-id', 'x-channel-id', 'x-real-ip', 'x-real-path', 'x-real-host']

const PAGE_HEADERS = {
  'Content-Security-Policy':
    "default-src 'self'; img-src data:; media-src 'self' blob:; worker-src 'self' blob:; frame-ancestors 'none'; base-uri 'none'",
  'Cache-Control': 'no-cache',
}

/** @param now the clock of tokens, in milliseconds */
export function createDemoMiddleware(type: BackendType, now: () => number = Date.now): DemoMiddleware {
  const dialect = createDialect(type, now)
  const questions: AskedQuestion[] = []
  let ownQuestions = 0
  let ofViewers: DemoHandler | undefined
  let ofAll: DemoHandler | undefined

  const files: Record<string, { readonly path: string; readonly type: string }> = {
    '/': { path: join(ROOT, 'test/demo/player/index.html'), type: 'text/html; charset=utf-8' },
    '/player.css': { path: join(ROOT, 'test/demo/player/player.css'), type: 'text/css' },
    '/player.js': { path: join(ROOT, 'test/demo/player/player.js'), type: 'text/javascript' },
    '/hls.min.js': {
      path: createRequire(import.meta.url).resolve('hls.js/dist/hls.min.js'),
      type: 'text/javascript',
    },
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const target = request.url ?? '/'
    const path = target.replace(/\?.*$/s, '')
    if (path === `/portal${dialect.path}`) return judge(target, request, response)
    if (path === '/demo/token')
      return send(response, 200, `${dialect.issueToken()}\n`, {
        'Content-Type': 'text/plain',
        'Cache-Control': 'no-store',
      })
    if (path === '/demo/info')
      return send(response, 200, JSON.stringify({ dialect: type, channels: DEMO_CHANNELS }), {
        'Content-Type': 'application/json',
      })
    const file = files[path]
    if (file === undefined) return send(response, 404, 'not here\n')
    send(response, 200, await readFile(file.path), { 'Content-Type': file.type, ...PAGE_HEADERS })
  }

  function judge(target: string, request: IncomingMessage, response: ServerResponse): void {
    const mark = target.indexOf('?')
    const query = mark < 0 ? '' : target.slice(mark + 1)
    const isOwn = request.headers['x-real-ua'] === OWN_NAME
    if (isOwn) ownQuestions++
    else questions.push({ target, query, headers: request.headers, rawHeaders: request.rawHeaders })
    const special = isOwn ? ofAll : (ofViewers ?? ofAll)
    if (special) return special(request, response)
    const isWhole = REQUIRED_HEADERS.every((name) => request.headers[name] !== undefined)
    // PHP takes the last of several.
    const token = new URLSearchParams(query).getAll('token').at(-1)
    const answer: DemoAnswer = isWhole ? dialect.answer(token) : { status: 400 }
    send(response, answer.status, '', answer.headers)
  }

  const server = createServer({ maxHeaderSize: 64 * 1024 }, (request, response) => {
    handle(request, response).catch(() => response.destroy())
  })

  return {
    questions,
    get ownQuestions() {
      return ownQuestions
    },
    issueToken: () => dialect.issueToken(),
    answerWith(answer) {
      ofAll = answer
      ofViewers = undefined
    },
    answerViewersWith: (answer) => (ofViewers = answer),
    async listen(port = 0, host = '127.0.0.1') {
      server.listen(port, host)
      await once(server, 'listening')
      return (server.address() as AddressInfo).port
    },
    async close() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

function send(
  response: ServerResponse,
  status: number,
  body: string | Buffer,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { 'Content-Length': Buffer.byteLength(body), ...headers }).end(body)
}
