import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Block, Session, Status } from '../../service/admin/page/types.js'
import { readPage } from '../../service/admin/page-files.js'
import { makeUpSessions, makeUpStatus } from './made-up.js'

const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
const PAGE = readPage()

/** The page's files, and an administration of sessions that are made up. */
export interface Stub {
  readonly url: string
  /** What it tells; may be changed. */
  sessions: Session[]
  blocks: Block[]
  status: Status
  /** Closes connections instead of answering; `after`: does first what it is asked to. */
  unreachable: boolean | 'after'
  /** Answers everything with it, where it is set. */
  failing: number | undefined
  /** Requests of the interface so far, `GET /sessions?…`, the newest last. */
  readonly requests: string[]
  /** How long an answer takes. */
  latencyMs: number
  /** Bytes of the page's files so far. */
  readonly sentBytes: number
  /** Uptimes grow. */
  grow(seconds: number): void
  stop(): Promise<void>
}

const fields = {
  last_seen: (session: Session) => Date.parse(session.last_seen),
  uptime: (session: Session) => session.uptime,
  channel_id: (session: Session) => session.channel_id,
  name: (session: Session) => session.name,
  addr: (session: Session) => session.addr,
  expires: (session: Session) => (session.expires === null ? Infinity : Date.parse(session.expires)),
}

/** @param amount of sessions */
export async function startStub(amount = 10_000): Promise<Stub> {
  let sentBytes = 0
  const server = createServer((request, response) => {
    const { method = '', url = '' } = request
    const { pathname, searchParams } = new URL(url, 'http://stub')
    if (!/^\/(sessions|status|blocks)\b(?!\.)/.test(pathname)) return sendFile(pathname, response)
    stub.requests.push(`${method} ${url}`)
    if (stub.unreachable === true) return void request.socket.destroy()
    setTimeout(() => {
      const [status, answer] =
        stub.failing === undefined ? reply(method, pathname, searchParams) : [stub.failing, {}]
      if (stub.unreachable) return void request.socket.destroy()
      response.writeHead(status, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' })
      response.end(JSON.stringify(answer))
    }, stub.latencyMs)
  })

  function reply(
    method: string,
    pathname: string,
    query: URLSearchParams,
  ): [status: number, answer: unknown] {
    if (pathname === '/status') return [200, stub.status]
    if (pathname === '/blocks') return [200, { blocks: stub.blocks }]
    const lifted = /^\/blocks\/(\w+)$/.exec(pathname)?.[1]
    if (lifted !== undefined) {
      const before = stub.blocks.length
      stub.blocks = stub.blocks.filter(({ client_id }) => client_id !== lifted)
      return stub.blocks.length < before
        ? [200, { lifted: true }]
        : [404, { error: 'There is no such block.' }]
    }
    const id = /^\/sessions\/(\w+)$/.exec(pathname)?.[1]
    if (id === undefined) return list(query)
    const session = stub.sessions.find(({ client_id }) => client_id === id)
    if (session === undefined) return [404, { error: 'There is no such session.' }]
    if (method !== 'DELETE') return [200, session]
    stub.sessions = stub.sessions.filter((other) => other !== session)
    const minutes = { '10m': 10, '1h': 60, '24h': 1440 }[query.get('block') ?? '']
    const until = minutes === undefined ? null : new Date(Date.now() + minutes * 60_000).toISOString()
    if (until !== null) stub.blocks = [...stub.blocks, { ...session, blocked_until: until }]
    return [200, { closed: true, blocked_until: until }]
  }

  function list(query: URLSearchParams): [status: number, answer: unknown] {
    const [offset, limit] = [Number(query.get('offset') ?? 0), Number(query.get('limit') ?? 100)]
    const sort = query.get('sort') ?? '-last_seen'
    const field = fields[sort.replace(/^-/, '') as keyof typeof fields]
    const isSource = ['', 'backend', 'remembered', 'open-door'].includes(query.get('source') ?? '')
    if (!field || !isSource || offset + limit > 10_000) return [400, { error: 'A wrong parameter.' }]
    const is = (name: string, value: string) => !query.get(name) || query.get(name) === value
    const part = (query.get('name') ?? '').toLowerCase()
    const matching = stub.sessions.filter(
      (session) =>
        is('channel', session.channel_id) &&
        is('ip', session.addr) &&
        is('source', session.source) &&
        session.name.toLowerCase().includes(part),
    )
    const direction = sort.startsWith('-') ? -1 : 1
    const compare = (a: Session, b: Session) => {
      const [x, y] = [field(a), field(b)]
      return x < y ? -direction : x > y ? direction : a.client_id < b.client_id ? -1 : 1
    }
    const sessions = matching.toSorted(compare).slice(offset, offset + limit)
    return [200, { total: matching.length, offset, limit, sessions }]
  }

  function sendFile(pathname: string, response: ServerResponse): void {
    const file = PAGE.get(pathname)
    if (file === undefined) return void response.writeHead(404).end()
    sentBytes += Buffer.byteLength(file.body)
    response.writeHead(200, { 'Content-Type': file.type, 'Content-Security-Policy': POLICY }).end(file.body)
  }

  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const sessions = makeUpSessions(amount, Date.now())
  const stub: Stub = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    sessions,
    blocks: [],
    status: makeUpStatus(sessions, Date.now()),
    unreachable: false,
    failing: undefined,
    latencyMs: 5,
    requests: [],
    get sentBytes() {
      return sentBytes
    },
    grow(seconds) {
      stub.sessions = stub.sessions.map((session) => ({ ...session, uptime: session.uptime + seconds }))
    },
    async stop() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
  return stub
}
