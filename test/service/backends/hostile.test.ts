import { once } from 'node:events'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { gzipSync } from 'node:zlib'
import { afterEach, describe, expect, it } from 'vitest'
import { createExchange, type Exchange, type Outcome } from '../../../service/backends/exchange.js'

const TIMEOUT_MS = 500
const GOOD = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'

let server: Server
let exchange: Exchange
let sockets: Socket[]
let requests: string[]

/** A server that says what it is told to, request by request; afterwards it is well. */
async function startBackend(...answers: ((socket: Socket) => void)[]): Promise<string> {
  sockets = []
  requests = []
  server = createServer((socket) => {
    sockets.push(socket)
    socket.on('error', () => {})
    socket.on('data', (bytes) => {
      requests.push(bytes.toString('latin1'))
      const answer = answers.shift()
      if (answer) answer(socket)
      else socket.write(GOOD)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  exchange = createExchange({ timeoutMs: TIMEOUT_MS, connections: 2 })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

afterEach(async () => {
  await exchange.close()
  for (const socket of sockets) socket.destroy()
  server.close()
})

/** What came of a question, without the headers. */
async function ask(origin: string): Promise<Outcome | { status: number }> {
  const outcome = await exchange.get(origin, '/check?token=1', {})
  return 'status' in outcome ? { status: outcome.status } : outcome
}

/** Writes for as long as somebody reads. */
function endlessly(socket: Socket, chunk: Buffer | string): void {
  const more = () => {
    while (socket.writable && socket.write(chunk));
  }
  socket.on('drain', more)
  more()
}

const slowly = (socket: Socket, text: string) => {
  let at = 0
  const timer = setInterval(() => {
    if (at < text.length && socket.writable) socket.write(text[at++]!)
  }, 20)
  socket.once('close', () => clearInterval(timer))
}

describe('a hostile backend', () => {
  it.each<[string, (socket: Socket) => void, unknown]>([
    [
      'an endless body',
      (s) => (s.write('HTTP/1.1 200 OK\r\n\r\n'), endlessly(s, 'x'.repeat(65_536))),
      { status: 200 },
    ],
    [
      'an endless chunked body',
      (s) => (
        s.write('HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n'),
        endlessly(s, `4000\r\n${'x'.repeat(0x4000)}\r\n`)
      ),
      { status: 403 },
    ],
    [
      'a body of a declared exabyte',
      (s) => s.write('HTTP/1.1 200 OK\r\nContent-Length: 1000000000000000\r\n\r\nx'),
      { status: 200 },
    ],
    [
      'a body that drips',
      (s) => (s.write('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n'), slowly(s, 'x'.repeat(1_000))),
      { status: 200 },
    ],
    [
      'a bomb',
      (s) => (
        s.write('HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n'),
        s.end(gzipSync(Buffer.alloc(50_000_000)))
      ),
      { status: 200 },
    ],
    [
      'a broken bomb',
      (s) =>
        s.end('HTTP/1.1 200 OK\r\nContent-Encoding: gzip, br, nonsense\r\nContent-Length: 4\r\n\r\nxxxx'),
      { status: 200 },
    ],
    [
      'a head that drips',
      (s) => slowly(s, `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(1_000)}\r\n\r\n`),
      { failure: 'timeout' },
    ],
    [
      'endless heads',
      (s) => (s.write('HTTP/1.1 200 OK\r\n'), endlessly(s, `X: ${'x'.repeat(1_000)}\r\n`)),
      { failure: 'malformed' },
    ],
    ['an endless line', (s) => endlessly(s, 'x'.repeat(65_536)), { failure: 'malformed' }],
    [
      'endless answers that announce another',
      (s) => endlessly(s, 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(1_000)),
      { failure: 'timeout' },
    ],
    [
      'two lengths',
      (s) => s.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nxxxxx'),
      { failure: 'malformed' },
    ],
    [
      'a length and chunks',
      (s) => s.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'),
      { failure: 'malformed' },
    ],
    [
      'a negative length',
      (s) => s.write('HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n'),
      { failure: 'malformed' },
    ],
    ['no version', (s) => s.end('<html>welcome</html>'), { failure: 'malformed' }],
    ['a status of two digits', (s) => s.end('HTTP/1.1 20 OK\r\n\r\n'), { failure: 'malformed' }],
    [
      'a body that breaks off',
      (s) => s.end('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf'),
      { status: 200 },
    ],
    [
      'another protocol instead',
      (s) => s.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n'),
      { failure: expect.any(String) as unknown },
    ],
    ...[300, 301, 302, 303, 304, 305, 307, 308].map((status): [string, (socket: Socket) => void, unknown] => [
      `a redirect ${status}`,
      (s) =>
        s.write(`HTTP/1.1 ${status} Moved\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n`),
      { status },
    ]),
  ])('%s: a stated outcome, and the next question is answered', async (_, answer, outcome) => {
    const origin = await startBackend(answer)
    const memory = process.memoryUsage().rss
    expect(await ask(origin)).toEqual(outcome)
    expect(await ask(origin)).toEqual({ status: 200 })
    // The question itself was asked once, whatever came of it.
    expect(requests).toHaveLength(2)
    expect(process.memoryUsage().rss - memory).toBeLessThan(100_000_000)
  })

  it('an answer that nobody asked for is no answer to the next question', async () => {
    const forged = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Session-Name: forged\r\n\r\n'
    const refusal = 'HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n'
    const origin = await startBackend(
      (socket) => socket.write(refusal + forged),
      (socket) => socket.write(refusal),
    )
    expect(await ask(origin)).toEqual({ status: 403 })
    expect(await ask(origin)).toEqual({ status: 403 })
  })

  it('an answer on an idle connection is no answer to the next question', async () => {
    const origin = await startBackend(
      (socket) => socket.write(GOOD),
      (socket) => socket.write('HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n'),
    )
    expect(await ask(origin)).toEqual({ status: 200 })
    const closed = once(sockets[0]!, 'close')
    sockets[0]!.write(GOOD)
    await closed
    expect(await ask(origin)).toEqual({ status: 403 })
  })
})
