import { spawn } from 'node:child_process'
import dns from 'node:dns'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer as createTlsServer } from 'node:https'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { Backend, Question } from '../../../service/backends/backend.js'
import { createExchange } from '../../../service/backends/exchange.js'
import { createBackend } from '../../../service/backends/index.js'
import type { Answer } from '../../../service/decision.js'
import { ROOT } from '../../root.js'

const endings: (() => unknown)[] = []
afterEach(async () => {
  for (const ending of endings.splice(0).toReversed()) await ending()
})

/** Answers each question on the wire. */
async function listen(answer: (socket: Socket, question: string) => void): Promise<string> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.setEncoding('latin1').on('error', () => {})
    socket.once('close', () => sockets.delete(socket))
    socket.on('data', (question: string) => answer(socket, question))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  endings.push(async () => {
    for (const socket of sockets) socket.destroy()
    server.close()
    await once(server, 'close')
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

function backendAt(url: string, options: { timeoutMs: number; lingerMs?: number }): Backend {
  const backend = createBackend('http', new URL(url), createExchange(options))
  endings.push(() => backend.close())
  return backend
}

const question = (token: string): Question => ({
  sessionId: '0123456789abcdef0123456789abcdef',
  channelId: 'a001',
  clientIp: '192.0.2.7',
  path: '/play/a001/index.m3u8',
  query: `token=${token}`,
  userAgent: 'player/1.0',
  host: 'live.example.com',
})

const FORGED = 'HTTP/1.1 200 OK\r\nX-Session-Name: forged\r\nContent-Length: 0\r\n\r\n'
const REFUSALS: [kind: string, bytes: string][] = [
  ['without a body', 'HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n'],
  ['with a body', 'HTTP/1.1 403 No\r\nContent-Length: 5\r\n\r\nsorry'],
  ['in chunks', 'HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nsorry\r\n0\r\n\r\n'],
  ['with a length that is too short', 'HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nsorry'],
]

describe('an answer that comes behind another one', () => {
  it.each(REFUSALS)('is nobody’s, however late: a refusal %s', async (_, refusal) => {
    const delays = [0, 1, 10, 100, 900]
    let count = 0
    const url = await listen((socket) => {
      socket.write(refusal)
      // A backend that keeps the connection, whatever it was told.
      setTimeout(() => socket.writable && socket.write(FORGED), delays[count++ % delays.length])
    })
    const backend = backendAt(url, { timeoutMs: 5_000 })
    const answers: Answer[] = []
    const end = performance.now() + 1_500
    // Sixteen viewers at a time, for longer than the last of the delays.
    const viewers = Array.from({ length: 16 }, async (__, viewer) => {
      for (let time = 0; performance.now() < end; time++)
        answers.push(await backend.ask(question(`bad${viewer}-${time}`)))
    })
    await Promise.all(viewers)
    expect(answers.length).toBeGreaterThan(100)
    expect(answers.filter((answer) => answer.outcome !== 'deny')).toEqual([])
  })
})

describe('a question', () => {
  it('is let go with the end of its answer', async () => {
    const url = await listen((socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no')
      finish = () => socket.end('k')
    })
    let finish = () => {}
    let isReleased = false
    const answer = backendAt(url, { timeoutMs: 5_000 }).ask(question('a'), () => (isReleased = true))
    expect(await answer).toMatchObject({ outcome: 'allow' })
    expect(isReleased).toBe(false)
    finish()
    await expect.poll(() => isReleased).toBe(true)
  })

  it('that is not answered in time keeps its place until the backend has done with it', async () => {
    let socket: Socket | undefined
    const url = await listen((one) => (socket = one))
    let isReleased = false
    const answer = backendAt(url, { timeoutMs: 50 }).ask(question('a'), () => (isReleased = true))
    expect(await answer).toEqual({ outcome: 'unavailable', failure: 'timeout', status: undefined })
    expect([isReleased, socket!.destroyed]).toEqual([false, false])
    socket!.write(FORGED)
    await expect.poll(() => isReleased).toBe(true)
  })

  it('is given up some time after its deadline', async () => {
    let isHungUp = false
    const url = await listen((socket) => socket.once('close', () => (isHungUp = true)))
    let isReleased = false
    const backend = backendAt(url, { timeoutMs: 50, lingerMs: 100 })
    await backend.ask(question('a'), () => (isReleased = true))
    expect([isReleased, isHungUp]).toEqual([false, false])
    await expect.poll(() => [isReleased, isHungUp]).toEqual([true, true])
  })

  it.each([
    ['nobody listens', 'http://127.0.0.1:1/', ''],
    ['it cannot be sent', 'http://127.0.0.1:1/', ' '],
    ['the name has no address', 'http://backend.invalid/', ''],
  ])('is let go where %s', async (_, url, odd) => {
    const released: string[] = []
    await backendAt(url, { timeoutMs: 5_000 }).ask(question(`a${odd}`), () => released.push('once'))
    await expect.poll(() => released).toEqual(['once'])
  })
})

describe('a question that does not reach the backend', () => {
  const askedOf = async (url: string) => {
    let isReleased = false
    const answer = await backendAt(url, { timeoutMs: 100 }).ask(question('a'), () => (isReleased = true))
    return { answer, isReleased: () => isReleased }
  }

  it('as the resolver does not answer is let go at its deadline', async () => {
    const lookup = vi.spyOn(dns, 'lookup').mockImplementation(() => {})
    try {
      const { answer, isReleased } = await askedOf('http://backend.invalid/')
      expect(answer).toMatchObject({ failure: 'timeout' })
      await expect.poll(isReleased).toBe(true)
    } finally {
      lookup.mockRestore()
    }
  })

  it('as no TLS comes about is let go at its deadline', async () => {
    const url = await listen(() => {})
    const { answer, isReleased } = await askedOf(url.replace('http:', 'https:'))
    expect(answer).toMatchObject({ failure: 'timeout' })
    await expect.poll(isReleased).toBe(true)
  })
})

describe('TLS', () => {
  it('takes up its sessions again', async () => {
    const file = (name: string) => join(ROOT, 'test/tls', name)
    const reused: boolean[] = []
    const server = createTlsServer(
      { key: readFileSync(file('key.pem')), cert: readFileSync(file('certificate.pem')) },
      (request, response) => {
        reused.push((request.socket as TLSSocket).isSessionReused())
        response.writeHead(403, { 'Content-Length': 0 }).end()
      },
    ).listen(0, '127.0.0.1')
    await once(server, 'listening')
    endings.push(() => server.close())
    const { port } = server.address() as AddressInfo
    const child = spawn(process.execPath, [join(ROOT, 'dist/service/main.js')], {
      env: {
        NODE_EXTRA_CA_CERTS: file('certificate.pem'),
        BACKEND_URL: `https://localhost:${port}/`,
        PORT: '0',
        ADMIN_PORT: 'off',
        STATE_DIR: 'none',
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    endings.push(() => child.kill('SIGKILL'))
    const [line] = (await once(child.stdout, 'data')) as [Buffer]
    const service = `http://127.0.0.1:${(JSON.parse(line.toString()) as { port: number }).port}/auth`
    for (let viewer = 0; viewer < 5; viewer++) {
      const headers = { 'X-Original-URI': `/play/a001/x?token=${viewer}`, 'X-Real-IP': '192.0.2.1' }
      expect((await fetch(service, { headers })).status).toBe(403)
    }
    expect(reused.slice(-4)).toEqual([true, true, true, true])
  })
})
