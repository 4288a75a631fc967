import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { gzipSync } from 'node:zlib'
import { afterEach, describe, expect, it } from 'vitest'
import type { Question } from '../../../service/backends/backend.js'
import { createExchange } from '../../../service/backends/exchange.js'
import { createBackend } from '../../../service/backends/index.js'
import type { Answer } from '../../../service/decision.js'

const QUESTION: Question = {
  sessionId: '0123456789abcdef0123456789abcdef',
  channelId: 'a001',
  clientIp: '192.0.2.7',
  path: '/play/a001/index.m3u8',
  query: 'token=secret',
  userAgent: 'player/1.0',
  host: 'live.example.com',
}

const endings: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const ending of endings.splice(0).toReversed()) await ending()
})

interface Server {
  readonly port: number
  /** Whole questions, in the order of their arrival. */
  readonly questions: string[]
  /** Connections, in the order of their opening. */
  readonly sockets: Socket[]
}

/** Answers each question with bytes, or lets `answer` do as it likes with the connection. */
async function listen(answer: (socket: Socket, count: number) => void): Promise<Server> {
  const questions: string[] = []
  const sockets: Socket[] = []
  const server = createServer((socket) => {
    sockets.push(socket)
    socket.setEncoding('latin1').on('error', () => {})
    let text = ''
    socket.on('data', (more: string) => {
      text += more
      if (!text.endsWith('\r\n\r\n')) return
      questions.push(text)
      text = ''
      answer(socket, questions.length)
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  endings.push(async () => {
    for (const socket of sockets) socket.destroy()
    server.close()
    await once(server, 'close')
  })
  return { port: (server.address() as AddressInfo).port, questions, sockets }
}

const ok = (headers = '', body = '') =>
  `HTTP/1.1 200 OK\r\n${headers}Content-Length: ${body.length}\r\n\r\n${body}`

const allowed = (name: string) => ({ outcome: 'allow', status: 200, name, authDurationMs: undefined })
const refused = (status: number) => ({ outcome: 'deny', status })
const unavailable = (failure: string) => ({ outcome: 'unavailable', failure, status: undefined })
const ALLOWED = allowed('')
const GOOD = allowed('next')

interface Encounter {
  readonly answer: Answer
  readonly elapsedMs: number
  /** What is answered to the question behind it. */
  readonly next: Answer
  readonly server: Server
}

/** A backend that answers the first question as it likes and the second one, which has a connection of its own, well. */
async function meet(hostile: string | ((socket: Socket) => void), timeoutMs = 5_000): Promise<Encounter> {
  const server = await listen((socket, count) => {
    if (count > 1) socket.write(ok('X-Session-Name: next\r\n'))
    else if (typeof hostile === 'string') socket.write(hostile, 'latin1')
    else hostile(socket)
  })
  const url = new URL(`http://127.0.0.1:${server.port}/check`)
  const backend = createBackend('http', url, createExchange({ timeoutMs, lingerMs: 0 }))
  endings.push(() => backend.close())
  const startedAt = performance.now()
  const answer = await backend.ask(QUESTION)
  const elapsedMs = performance.now() - startedAt
  const next = await backend.ask({ ...QUESTION, query: 'token=next' })
  expect(server.questions.length).toBe(2)
  expect(server.questions[1]).toContain('token=next')
  expect(server.sockets).toHaveLength(2)
  return { answer, elapsedMs, next, server }
}

async function closed(socket: Socket): Promise<void> {
  if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve))
}

/** Sends the same again and again, as fast as it is read. */
function flood(head: string, more: string) {
  let sent = 0
  let growth = 0
  const chunk = Buffer.from(more.repeat(Math.ceil(65_536 / more.length)), 'latin1')
  const used = () => process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers
  const start = (socket: Socket) => {
    const before = used()
    socket.write(head, 'latin1')
    const pump = () => {
      growth = Math.max(growth, used() - before)
      while (!socket.destroyed) {
        sent += chunk.length
        if (!socket.write(chunk)) return
      }
    }
    socket.on('drain', pump)
    pump()
  }
  return { start, sent: () => sent, growth: () => growth }
}

/** Sends a text one byte at a time. */
const drip = (head: string, text: string) => (socket: Socket) => {
  let at = 0
  socket.write(head)
  const timer = setInterval(() => socket.write(text[at++ % text.length]!), 50)
  socket.once('close', () => clearInterval(timer))
}

describe('redirects', () => {
  it.each([300, 301, 302, 303, 304, 305, 307, 308])('%d is a refusal, wherever it leads', async (status) => {
    const elsewhere = await listen((socket) => socket.write(ok()))
    for (const location of [
      `http://127.0.0.1:${elsewhere.port}/`,
      `//localhost:${elsewhere.port}/`,
      '/check',
      'file:///etc/passwd',
      '',
    ]) {
      const more = status === 304 ? '' : 'Content-Length: 0\r\n'
      const { answer, next } = await meet(`HTTP/1.1 ${status} X\r\nLocation: ${location}\r\n${more}\r\n`)
      expect(answer).toEqual(refused(status))
      expect(next).toEqual(GOOD)
    }
    expect(elsewhere.sockets).toEqual([])
  })

  it.each([
    ['Refresh', 'Refresh: 0; url=/other\r\n'],
    ['Alt-Svc', 'Alt-Svc: h2="127.0.0.1:1"; ma=86400\r\n'],
    ['Content-Location', 'Content-Location: /other\r\n'],
    ['WWW-Authenticate', 'WWW-Authenticate: Basic realm="x"\r\n'],
    ['Retry-After', 'Retry-After: 1\r\n'],
  ])('%s with a 200 has no effect', async (_, headers) => {
    const { answer, next } = await meet(ok(headers))
    expect([answer, next]).toEqual([ALLOWED, GOOD])
  })

  it.each([401, 407, 408, 421, 425])('%d with all that invites another try: asked once', async (status) => {
    const headers = 'WWW-Authenticate: Basic realm="x"\r\nRetry-After: 0\r\nContent-Length: 0\r\n'
    const { answer, next } = await meet(`HTTP/1.1 ${status} X\r\n${headers}\r\n`)
    expect([answer, next]).toEqual([refused(status), GOOD])
  })
})

describe('bodies', () => {
  it.each([
    ['without an end', 'HTTP/1.1 200 OK\r\n\r\n', 'x'],
    ['with a length of 1 GB', 'HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n', 'x'],
    ['with a length beyond all', `HTTP/1.1 200 OK\r\nContent-Length: ${2 ** 53}\r\n\r\n`, 'x'],
    ['in chunks without an end', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', '5\r\nhello\r\n'],
    [
      'in chunks of one byte',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
      '000000000001;x=y\r\nx\r\n',
    ],
    ['of a refusal, without an end', 'HTTP/1.1 403 No\r\n\r\n', 'x'],
    ['of an outage, without an end', 'HTTP/1.1 500 No\r\n\r\n', 'x'],
  ])('%s: answered at the head, and hung up on', async (_, head, more) => {
    const body = flood(head, more)
    const { answer, next, server } = await meet(body.start)
    const status = Number(head.slice(9, 12))
    expect(answer.status).toBe(status)
    expect(next).toEqual(GOOD)
    await closed(server.sockets[0]!)
    expect(body.sent()).toBeLessThan(20_000_000)
  })

  it('a bomb is not unpacked', async () => {
    // 60 KB, within what is read, that would be 60 MB.
    const bomb = gzipSync(Buffer.alloc(60_000_000)).subarray(0, 60_000).toString('latin1')
    const before = process.memoryUsage().arrayBuffers
    const { answer, next } = await meet(ok('Content-Encoding: gzip\r\n', bomb))
    expect([answer, next]).toEqual([ALLOWED, GOOD])
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(20_000_000)
  })

  it.each([
    ['with a length', 'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n', 'x'],
    ['without one', 'HTTP/1.1 200 OK\r\n\r\n', 'x'],
    ['in chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', '1\r\nx\r\n'],
    ['in a chunk whose size has no end', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', '0'],
  ])('a byte each 50 ms, %s: the connection is given up at the deadline', async (_, head, text) => {
    const { answer, elapsedMs, next, server } = await meet(drip(head, text), 1_000)
    expect(answer).toEqual(ALLOWED)
    expect(elapsedMs).toBeLessThan(1_000)
    expect(next).toEqual(GOOD)
    await closed(server.sockets[0]!)
  })

  it.each([
    ['midway', 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf'],
    ['in a chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf'],
    ['in a broken chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhalf'],
  ])('breaks off %s: the answer stands', async (_, bytes) => {
    const { answer, next } = await meet((socket) => socket.end(bytes))
    expect([answer, next]).toEqual([ALLOWED, GOOD])
    const reset = await meet((socket) => socket.write(bytes, () => socket.resetAndDestroy()))
    expect(reset.answer).toBeOneOf([expect.objectContaining(ALLOWED), unavailable('reset')])
    expect(reset.next).toEqual(GOOD)
  })
})

describe('heads', () => {
  const START = 'HTTP/1.1 200 OK\r\n'
  it.each([
    ['a header without an end', `${START}X-Session-Name: `, 'x', 'malformed'],
    ['headers without an end', START, 'X-Session-Name: x\r\n', 'malformed'],
    ['a header name without an end', START, 'x', 'malformed'],
    ['a reason without an end', START.trimEnd(), 'x', 'malformed'],
    ['reasons without an end', '', `HTTP/1.1 102 ${'x'.repeat(60_000)}\r\n\r\n`, 'malformed'],
    [
      'trailers without an end, before their body',
      `${START}Transfer-Encoding: chunked\r\n`,
      'X: y\r\n',
      'malformed',
    ],
  ])('%s: hung up on', async (_, head, more, failure) => {
    const bytes = flood(head, more)
    const { answer, next, server } = await meet(bytes.start)
    expect(answer).toEqual(unavailable(failure))
    expect(next).toEqual(GOOD)
    await closed(server.sockets[0]!)
    expect(bytes.sent()).toBeLessThan(20_000_000)
  })

  it.each([
    ['102s', 'HTTP/1.1 102 Wait\r\nX-Session-Name: x\r\n\r\n'],
    ['103s', 'HTTP/1.1 103 Early\r\nLink: </x>\r\n\r\n'],
    ['unknown 1xx', 'HTTP/1.1 199 X\r\n\r\n'],
    ['blank lines', '\r\n'],
  ])('%s without an end: over at the deadline', async (_, more) => {
    const bytes = flood('', more)
    const { answer, elapsedMs, next, server } = await meet(bytes.start, 300)
    expect(answer).toEqual(unavailable('timeout'))
    expect(elapsedMs).toBeLessThan(3_000)
    expect(next).toEqual(GOOD)
    await closed(server.sockets[0]!)
    expect(bytes.growth()).toBeLessThan(100_000_000)
  })

  it.each([
    ['nothing', '', ''],
    ['a status', 'HTTP/1.1 200 OK\r\n', 'X: yyyy\r\n'],
    ['102s', '', 'HTTP/1.1 102 Wait\r\n\r\n'],
  ])('a byte each 50 ms behind %s: over at the deadline', async (_, head, text) => {
    const { answer, elapsedMs, next } = await meet(text === '' ? () => {} : drip(head, text), 300)
    expect(answer).toEqual(unavailable('timeout'))
    expect(elapsedMs).toBeLessThan(3_000)
    expect(next).toEqual(GOOD)
  })

  it.each([
    [
      '102 and 103',
      'HTTP/1.1 102 W\r\nX-Session-Name: early\r\n\r\nHTTP/1.1 103 E\r\n\r\n' + ok('X-Session-Name: x\r\n'),
      allowed('x'),
    ],
    [
      '103 before a refusal',
      'HTTP/1.1 103 E\r\nX-AuthDuration: 5\r\n\r\nHTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n',
      refused(403),
    ],
    ['100, which nobody has asked for (RFC 9110, 15.2)', 'HTTP/1.1 100 C\r\n\r\n' + ok(), ALLOWED],
    [
      '101, which nobody has asked for',
      'HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n' + ok(),
      unavailable('reset'),
    ],
  ])('%s', async (_, bytes, expected) => {
    const { answer, next } = await meet(bytes)
    expect([answer, next]).toEqual([expected, GOOD])
  })

  it.each([
    ['a page alone, as HTTP/0.9', '<html>welcome</html>'],
    ['two digits', 'HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n'],
    ['four digits', 'HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n'],
    ['no digits', 'HTTP/1.1 OK\r\nContent-Length: 0\r\n\r\n'],
    ['a sign', 'HTTP/1.1 +200 OK\r\nContent-Length: 0\r\n\r\n'],
    ['another version', 'HTTP/3.7 200 OK\r\nContent-Length: 0\r\n\r\n'],
    ['another protocol', 'ICY 200 OK\r\n\r\n'],
    ['a space in front', ' HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'],
    ['a request', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['TLS', '\x15\x03\x01\x00\x02\x02\x28'],
    ['the preface of HTTP/2', '\0\0\x12\x04\0\0\0\0\0\0\0\0'],
    ['zeros', '\0'.repeat(1_000)],
    ['a NUL in a name', ok('X-Session-Name: a\0b\r\n')],
    ['a CR in a name', ok('X-Session-Name: a\rb\r\n')],
    ['a LF in a name', ok('X-Session-Name: a\nb\r\n')],
    ['a folded name', ok('X: y\r\nX-Session-Name: a\r\n b\r\n')],
    ['a space in front of a colon', ok('X-Session-Name : a\r\n')],
    ['a control byte in a name', ok('X-Session-Name: a\x1bb\r\n')],
    [
      'a control byte behind a length',
      'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Session-Name: a\x1bb\r\n\r\nok',
    ],
    ['a length below zero', 'HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n'],
    ['a length with a sign', 'HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok'],
    ['a length of letters', 'HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n'],
    ['a length in hexadecimal', 'HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nok'],
    ['a length beyond 64 bits', 'HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n'],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok'],
    ['the same length twice', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok'],
    ['two lengths in one', 'HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok'],
    [
      'a length and chunks',
      'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
  ])('%s: malformed', async (_, bytes) => {
    const { answer, next, elapsedMs } = await meet(bytes)
    expect([answer, next]).toEqual([unavailable('malformed'), GOOD])
    expect(elapsedMs).toBeLessThan(3_000)
  })

  it.each([
    ['in its status', 'HTTP/1.1 2'],
    ['in a name', 'HTTP/1.1 200 OK\r\nX-Session-Name: a'],
    ['before its blank line', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n'],
    ['behind a length', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Session'],
    ['behind a 102', 'HTTP/1.1 102 Wait\r\n\r\n'],
  ])('breaks off %s', async (_, bytes) => {
    const { answer, next } = await meet((socket) => socket.end(bytes))
    expect([answer, next]).toEqual([unavailable('reset'), GOOD])
    const reset = await meet((socket) => socket.write(bytes, () => socket.resetAndDestroy()))
    expect([reset.answer, reset.next]).toEqual([unavailable('reset'), GOOD])
  })
})

describe('an answer too many', () => {
  const DENIED = 'HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n'
  const forged = ok('X-Session-Name: forged\r\n')
  it.each([
    ['behind a refusal', DENIED + forged, refused(403)],
    ['behind an admission', ok() + DENIED, ALLOWED],
    ['behind a body', ok('', 'hello') + forged, ALLOWED],
    [
      'behind chunks',
      'HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n' + forged,
      refused(403),
    ],
    [
      'behind trailers',
      'HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n\r\n' + forged,
      refused(403),
    ],
    [
      'in the body of a 204',
      `HTTP/1.1 204 X\r\nContent-Length: ${forged.length}\r\n\r\n${forged}`,
      { ...ALLOWED, status: 204 },
    ],
    [
      'in the body of a 304',
      `HTTP/1.1 304 X\r\nContent-Length: ${forged.length}\r\n\r\n${forged}`,
      refused(304),
    ],
    [
      'behind Connection: close',
      'HTTP/1.1 403 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n' + forged,
      refused(403),
    ],
    ['behind HTTP/1.0', 'HTTP/1.0 403 No\r\nContent-Length: 0\r\n\r\n' + forged, refused(403)],
    ['of one letter', DENIED + 'H', refused(403)],
    ['a hundred times', DENIED + forged.repeat(100), refused(403)],
  ])('%s is nobody’s', async (_, bytes, expected) => {
    const { answer, next } = await meet(bytes)
    expect([answer, next]).toEqual([expected, GOOD])
  })

  it('sent while nobody asks is nobody’s', async () => {
    const server = await listen((socket) => socket.write(ok('X-Session-Name: next\r\n')))
    const url = new URL(`http://127.0.0.1:${server.port}/`)
    const backend = createBackend('http', url, createExchange({ timeoutMs: 5_000 }))
    endings.push(() => backend.close())
    await backend.ask(QUESTION)
    const [socket] = server.sockets
    socket!.write(forged)
    await closed(socket!)
    expect(await backend.ask(QUESTION)).toEqual(GOOD)
    expect(server.sockets).toHaveLength(2)
  })
})

describe('headers', () => {
  it('a cookie is not sent back', async () => {
    const { answer, next, server } = await meet(ok('Set-Cookie: id=1; Path=/\r\nSet-Cookie: b=2\r\n'))
    expect([answer, next]).toEqual([ALLOWED, GOOD])
    expect(server.questions[1]).not.toMatch(/cookie|id=1|b=2/i)
  })

  it('a name in trailers is none', async () => {
    const head = 'HTTP/1.1 200 OK\r\nTrailer: X-Session-Name\r\nTransfer-Encoding: chunked\r\n\r\n'
    const { answer, next } = await meet(
      `${head}2\r\nok\r\n0\r\nX-Session-Name: late\r\nX-AuthDuration: 60\r\nSet-Cookie: a=b\r\n\r\n`,
    )
    expect([answer, next]).toEqual([ALLOWED, GOOD])
  })

  it.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'status', 'get'])(
    'one named %s, twice, has no effect',
    async (name) => {
      const { answer, next } = await meet(ok(`${name}: x\r\n${name}: y\r\nX-Session-Name: x\r\n`))
      expect([answer, next]).toEqual([allowed('x'), GOOD])
      expect(Object.prototype).not.toHaveProperty('x')
    },
  )

  it.each([
    ['two names', 'X-Session-Name: a\r\nx-session-NAME: b\r\n', 'a, b'],
    ['an empty name', 'X-Session-Name:\r\n', ''],
    ['a name of spaces', 'X-Session-Name: \t \r\n', ''],
    ['markup', 'X-Session-Name: <b>"\\\'&\r\n', '<b>"\\\'&'],
    ['escapes', 'X-Session-Name: a%0d%0aX-Channel-ID:%20b\\r\\n\r\n', 'a%0d%0aX-Channel-ID:%20b\\r\\n'],
    ['tabs', 'X-Session-Name: a\tb\r\n', 'a?b'],
    ['high bytes', 'X-Session-Name: \x80\x85\xa0\xad\xff\r\n', '\x80\x85\xa0\xad\xff'],
    ['12 KB', `X-Session-Name: ${'x'.repeat(12_000)}\r\n`, 'x'.repeat(255)],
    ['12 KB of high bytes', `X-Session-Name: ${'\xff'.repeat(12_000)}\r\n`, '\xff'.repeat(255)],
    ['a look-alike', 'X_Session_Name: a\r\nX-Session-Name2: b\r\nSession-Name: c\r\n', ''],
  ])('%s', async (_, headers, name) => {
    const { answer, next } = await meet(ok(headers))
    expect([answer, next]).toEqual([allowed(name), GOOD])
  })

  it('a name of 64 KB is more than a head may hold', async () => {
    const { answer, next } = await meet(ok(`X-Session-Name: ${'x'.repeat(65_536)}\r\n`))
    expect([answer, next]).toEqual([unavailable('malformed'), GOOD])
  })

  it.each([
    ['', undefined],
    ['+5', undefined],
    ['0x10', undefined],
    ['1e3', undefined],
    ['5;', undefined],
    ['NaN', undefined],
    ['Infinity', undefined],
    ['\xb2', undefined],
    ['9'.repeat(5_000), undefined],
    ['60\r\nX-AuthDuration: 120', undefined],
    ['00060', 60_000],
    [' 60\t', 60_000],
    ['60  ', 60_000],
    ['9999999999', 9_999_999_999_000],
  ])('X-AuthDuration: %j', async (value, authDurationMs) => {
    const { answer, next } = await meet(ok(`X-AuthDuration: ${value}\r\n`))
    expect([answer, next]).toEqual([{ ...ALLOWED, authDurationMs }, GOOD])
  })
})
