import { readFileSync } from 'node:fs'
import { createServer, type ServerResponse } from 'node:http'
import { createServer as createNetServer, type AddressInfo, type Server } from 'node:net'

/*
 * A middleware for a siege, with no limits of its own: `node backend.js`. It prints its port, admits tokens that begin with
 * "good", unless the file in SIEGE_REVOKED names them, and has the weaknesses that middlewares have, each by a word in
 * the query (`do=`). With SIEGE_BARE=500 it fails without a token; with SIEGE_RATE=N it answers more than N questions a
 * second with 503, as a web server's own limit does; with SIEGE_STRAY=1 it sends an admission behind each answer.
 */

const FORGED = 'HTTP/1.1 200 OK\r\nX-Session-Name: forged\r\nContent-Length: 0\r\n\r\n'
const STRAY_MS = [0, 1, 10, 100, 900]
let strays = 0
const rate = Number(process.env.SIEGE_RATE ?? Infinity)
let askedThisSecond = 0
setInterval(() => (askedThisSecond = 0), 1_000).unref()

const weaknesses: Readonly<Record<string, (response: ServerResponse, token: string) => void>> = {
  '500': (response) => response.writeHead(500).end(),
  '502': (response) => response.writeHead(502).end(),
  '503': (response) => response.writeHead(503).end(),
  '429': (response) => response.writeHead(429).end(),
  hang() {},
  slow: (response) => setTimeout(() => response.writeHead(403).end(), 1_300),
  reset: (response) => response.socket?.destroy(),
  half: (response) => response.socket?.end('HTTP/1.1 200 OK\r\nX-Use'),
  garbage: (response) => response.socket?.end('what?\r\n\r\n'),
  // A login page that remembers where one wanted to go.
  login: (response, token) => response.writeHead(302, { Location: `/login?${token.repeat(16)}` }).end(),
  // And what a web server before it makes of that.
  gateway: (response, token) => response.writeHead(token.length > 1_000 ? 502 : 302).end(),
}

/** Each answer is followed by an admission, on connections that are kept whatever was asked for. */
function createStraying(): Server {
  return createNetServer((socket) => {
    socket.on('error', () => {})
    socket.setEncoding('latin1').on('data', (question: string) => {
      const isGood = question.includes('token=good')
      socket.write(`HTTP/1.1 ${isGood ? 200 : 403} X\r\nContent-Length: 0\r\n\r\n`)
      setTimeout(() => socket.writable && socket.write(FORGED), STRAY_MS[strays++ % STRAY_MS.length])
    })
  })
}

const honest = createServer({ maxHeaderSize: 64 * 1024, keepAliveTimeout: 60_000 }, (request, response) => {
  const query = new URL(request.url ?? '/', 'http://backend').searchParams
  const token = query.get('token') ?? ''
  if (++askedThisSecond > rate) return void response.writeHead(503).end()
  if (process.env.SIEGE_BARE === '500' && token === '') return void response.writeHead(500).end()
  const weakness = weaknesses[query.get('do') ?? '']
  if (weakness) return weakness(response, token)
  const revoked = readFileSync(process.env.SIEGE_REVOKED!, 'utf8').split('\n')
  const isGood = token.startsWith('good') && !revoked.includes(token)
  response.writeHead(isGood ? 200 : 403, { 'Content-Length': 0 }).end()
})
const server = process.env.SIEGE_STRAY ? createStraying() : honest
server.listen(0, '127.0.0.1', () =>
  process.stdout.write(`${JSON.stringify({ port: (server.address() as AddressInfo).port })}\n`),
)
