import dns from 'node:dns'
import { once } from 'node:events'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import type { ServerResponse } from 'node:http'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { Backend, Question } from '../../../service/backends/backend.js'
import { createExchange } from '../../../service/backends/exchange.js'
import { createBackend } from '../../../service/backends/index.js'
import { BACKEND_TYPES, type BackendType } from '../../../service/config.js'
import { createDemoMiddleware, type DemoMiddleware } from '../../demo/middleware.js'

const QUESTION: Question = {
  sessionId: '0123456789abcdef0123456789abcdef',
  channelId: 'a001',
  clientIp: '192.0.2.7',
  path: '/play/a001/index.m3u8',
  query: '',
  userAgent: 'player/1.0',
  host: 'live.example.com',
}

const endings: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const ending of endings.splice(0).toReversed()) await ending()
})

function adapterFor(type: BackendType, url: string, timeoutMs = 5_000): Backend {
  const backend = createBackend(type, new URL(url), createExchange({ timeoutMs }))
  endings.push(() => backend.close())
  return backend
}

/** An adapter with the demo's strict middleware behind it. */
async function withMiddleware(
  type: BackendType,
  suffix = '',
): Promise<{ backend: Backend; middleware: DemoMiddleware }> {
  const middleware = createDemoMiddleware(type)
  const port = await middleware.listen()
  endings.push(() => middleware.close())
  return { backend: adapterFor(type, `http://127.0.0.1:${port}/portal${suffix}`), middleware }
}

/** An adapter with bytes behind it: what each connection sends is kept, and answered by `answer`. */
async function withWire(type: BackendType, answer: (socket: Socket) => void, timeoutMs?: number) {
  const requests: string[] = []
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    sockets.add(socket)
    socket.setEncoding('latin1').on('error', () => {})
    let text = ''
    socket.on('data', (more: string) => {
      text += more
      if (!text.endsWith('\r\n\r\n')) return
      requests.push(text)
      text = ''
      answer(socket)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  endings.push(async () => {
    for (const socket of sockets) socket.destroy()
    server.close()
    await once(server, 'close')
  })
  const { port } = server.address() as AddressInfo
  return { backend: adapterFor(type, `http://127.0.0.1:${port}/portal`, timeoutMs), requests }
}

const ok = (headers = '', body = '') =>
  `HTTP/1.1 200 OK\r\n${headers}Content-Length: ${body.length}\r\n\r\n${body}`

describe.each(BACKEND_TYPES)('%s', (type) => {
  it('allows what the middleware allows, and refuses what it refuses', async () => {
    const { backend, middleware } = await withMiddleware(type)
    const query = `token=${middleware.issueToken()}`
    expect(await backend.ask({ ...QUESTION, query })).toEqual({
      outcome: 'allow',
      status: 200,
      name: type === 'ministra' ? '1001' : 'demo-viewer',
      authDurationMs: type === 'ministra' ? 36_000_000 : undefined,
    })
    expect(await backend.ask({ ...QUESTION, query: 'token=wrong' })).toEqual({ outcome: 'deny', status: 403 })
    expect(middleware.questions.length).toBe(2)
  })

  it('sends the six headers, and no User-Agent for a viewer without one', async () => {
    const { backend, middleware } = await withMiddleware(type)
    await backend.ask({ ...QUESTION, channelId: 'Канал', userAgent: '' })
    expect(middleware.questions[0]?.headers).toMatchObject({
      'x-session-id': QUESTION.sessionId,
      'x-channel-id': Buffer.from('Канал').toString('latin1'),
      'x-real-ip': '192.0.2.7',
      'x-real-path': '/play/a001/index.m3u8',
      'x-real-host': 'live.example.com',
    })
    expect(middleware.questions[0]?.headers).not.toHaveProperty('x-real-ua')
    await backend.ask(QUESTION)
    expect(middleware.questions[1]?.headers).toMatchObject({ 'x-real-ua': 'player/1.0' })
  })

  it.each([
    `token=a+b%2Bc%20d`,
    `token=one&token=two`,
    `token='"<>{}|^\`[]\\`,
    `token=\xd0\x98\xff`,
    `token=%zz%&&=&x`,
    `token=a?b/../c`,
  ])('sends the query byte for byte: %s', async (query) => {
    const { backend, requests } = await withWire(type, (socket) => socket.write(ok()))
    await backend.ask({ ...QUESTION, query })
    expect(requests[0]?.split(' ')[1]?.replace(/^[^?]*\?/, '')).toBe(query)
  })

  it('keeps a query in its address in front, and takes an address with its own path as whole', async () => {
    const { backend, middleware } = await withMiddleware(type, '?site=1')
    await backend.ask({ ...QUESTION, query: 'token=wrong' })
    await backend.ask(QUESTION)
    expect(middleware.questions.map(({ query }) => query)).toEqual(['site=1&token=wrong', 'site=1'])
    const path = middleware.questions[0]!.target.replace(/\?.*/, '').replace('/portal', '')
    const again = await withMiddleware(type, path)
    await again.backend.ask(QUESTION)
    expect(again.middleware.questions.length).toBe(1)
  })

  it.each([
    [401, { outcome: 'deny', status: 401 }],
    [404, { outcome: 'deny', status: 404 }],
    [414, { outcome: 'deny', status: 414 }],
    [204, { outcome: 'allow', status: 204, name: '', authDurationMs: undefined }],
    [429, { outcome: 'unavailable', failure: 'status', status: 429 }],
    [500, { outcome: 'unavailable', failure: 'status', status: 500 }],
    [503, { outcome: 'unavailable', failure: 'status', status: 503 }],
  ])('status %d', async (status, answer) => {
    const { backend, middleware } = await withMiddleware(type)
    middleware.answerWith((_, response) => response.writeHead(status).end())
    expect(await backend.ask(QUESTION)).toEqual(answer)
    expect(middleware.questions.length).toBe(1)
  })

  it('a redirect is a refusal and is not followed', async () => {
    const { backend, middleware } = await withMiddleware(type)
    middleware.answerWith((_, response) => response.writeHead(302, { Location: '/' }).end())
    expect(await backend.ask(QUESTION)).toEqual({ outcome: 'deny', status: 302 })
    expect(middleware.questions.length).toBe(1)
  })

  it('a page of HTML with 200 allows: the status is what counts', async () => {
    const { backend, middleware } = await withMiddleware(type)
    const headers = { 'Content-Type': 'text/html', 'Content-Encoding': 'gzip' }
    middleware.answerWith((_, response) => response.writeHead(200, headers).end('<html>not gzip at all'))
    expect(await backend.ask(QUESTION)).toMatchObject({ outcome: 'allow', status: 200 })
  })

  it('10 MB of body: answers at the head, and hangs up on the rest', async () => {
    const { backend, middleware } = await withMiddleware(type)
    let hungUp: Promise<unknown> | undefined
    middleware.answerWith((_, response: ServerResponse) => {
      response.writeHead(200, { 'Content-Length': 10_000_000 })
      hungUp = once(response, 'close')
      response.write(Buffer.alloc(1_000_000))
    })
    expect(await backend.ask(QUESTION)).toMatchObject({ outcome: 'allow' })
    await hungUp
  })

  it.each([
    ['a head cut off midway', 'HTTP/1.1 200 OK\r\nX-Session', 'reset'],
    ['nothing at all', '', 'reset'],
    ['another protocol', 'SSH-2.0-OpenSSH_9.2\r\n', 'malformed'],
    [
      'a name with control bytes',
      `HTTP/1.1 200 OK\r\nX-Session-Name: a\x01b\r\nContent-Length: 0\r\n\r\n`,
      'malformed',
    ],
    ['a head of 1 MB', `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(1_000_000)}\r\n\r\n`, 'malformed'],
  ])('%s is an outage', async (_, bytes, failure) => {
    const { backend, requests } = await withWire(type, (socket) => socket.end(bytes, 'latin1'))
    const answer = await backend.ask({ ...QUESTION, query: 'token=secret' })
    expect(answer).toEqual({ outcome: 'unavailable', failure, status: undefined })
    expect(requests.length).toBe(1)
    expect(JSON.stringify(answer)).not.toContain('secret')
  })

  it('no answer and a dripping one end at the deadline', async () => {
    const timeout = { outcome: 'unavailable', failure: 'timeout', status: undefined }
    const silent = await withWire(type, () => {}, 100)
    expect(await silent.backend.ask(QUESTION)).toEqual(timeout)
    const dripping = await withWire(
      type,
      (socket) => {
        const timer = setInterval(() => socket.write('H'), 5)
        socket.once('close', () => clearInterval(timer))
        socket.write('HTTP/1.1 200 OK\r\nX: ')
      },
      100,
    )
    expect(await dripping.backend.ask(QUESTION)).toEqual(timeout)
  })

  it('a resolver that does not answer ends at the deadline', async () => {
    const lookup = vi.spyOn(dns, 'lookup').mockImplementation(() => {})
    try {
      const answer = await adapterFor(type, 'http://backend.invalid/', 100).ask(QUESTION)
      expect(answer).toEqual({ outcome: 'unavailable', failure: 'timeout', status: undefined })
    } finally {
      lookup.mockRestore()
    }
  })

  it('reset, refused and unknown name are outages, each by its name', async () => {
    const { backend } = await withWire(type, (socket) => socket.resetAndDestroy())
    expect(await backend.ask(QUESTION)).toMatchObject({ outcome: 'unavailable', failure: 'reset' })
    const closed = createServer().listen(0, '127.0.0.1')
    await once(closed, 'listening')
    const { port } = closed.address() as AddressInfo
    closed.close()
    await once(closed, 'close')
    const refused = await adapterFor(type, `http://127.0.0.1:${port}/`).ask(QUESTION)
    expect(refused).toMatchObject({ outcome: 'unavailable', failure: 'refused' })
    const nowhere = await adapterFor(type, 'http://backend.invalid/').ask(QUESTION)
    expect(nowhere).toMatchObject({ outcome: 'unavailable', failure: 'dns' })
  })

  it.each([
    ['Иван "Петров"', 'Иван "Петров"'],
    ['  spaced  ', 'spaced'],
    ['a\tb', 'a?b'],
    ['x'.repeat(4_000), 'x'.repeat(255)],
    ['Я'.repeat(4_000), 'Я'.repeat(127)],
  ])('a name as the backend sent it, fit for a header: %.20s', async (sent, kept) => {
    const bytes = Buffer.from(sent).toString('latin1')
    const { backend } = await withWire(type, (socket) =>
      socket.write(ok(`X-Session-Name: ${bytes}\r\n`), 'latin1'),
    )
    expect(await backend.ask(QUESTION)).toMatchObject({ name: Buffer.from(kept).toString('latin1') })
  })

  it.each([
    ['120', 120_000],
    ['0', undefined],
    ['-5', undefined],
    ['1.5', undefined],
    ['10 minutes', undefined],
    ['99999999999', undefined],
  ])('X-AuthDuration: %s', async (value, authDurationMs) => {
    const { backend } = await withWire(type, (socket) => socket.write(ok(`X-AuthDuration: ${value}\r\n`)))
    expect(await backend.ask(QUESTION)).toMatchObject({ outcome: 'allow', authDurationMs })
  })

  it('sends an account of its address as Basic, and not in the target', async () => {
    const wire = await withWire(type, (socket) => socket.write(ok()))
    await wire.backend.ask(QUESTION)
    const [, port] = /Host: 127.0.0.1:(\d+)/i.exec(wire.requests[0]!)!
    await adapterFor(type, `http://user:p%40ss@127.0.0.1:${port}/`).ask(QUESTION)
    expect(wire.requests[1]).toMatch(/^GET \/[^@]* HTTP/)
    expect(wire.requests[1]).toContain(`Authorization: Basic ${btoa('user:p@ss')}\r\n`)
  })
})
