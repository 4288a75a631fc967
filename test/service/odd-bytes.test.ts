import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import type { Question } from '../../service/backends/backend.js'
import { createExchange } from '../../service/backends/exchange.js'
import { createBackend } from '../../service/backends/index.js'
import { BACKEND_TYPES, ConfigError, parseConfig } from '../../service/config.js'
import { safeName, textFromHeader } from '../../service/header-text.js'
import { createDemoMiddleware } from '../demo/middleware.js'

const QUESTION: Question = {
  sessionId: 'id',
  channelId: 'a001',
  clientIp: '192.0.2.7',
  path: '/play/a001/x',
  query: 'token=secret',
  userAgent: 'player/1.0',
  host: 'tv',
}

const endings: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const ending of endings.splice(0).toReversed()) await ending()
})

function nameShown(text: string): string {
  return textFromHeader(safeName(Buffer.from(text).toString('latin1')))
}

describe('a name', () => {
  it('has a question mark for each control byte', () => {
    expect(safeName('a\tb\x01c\x7fd')).toBe('a?b?c?d')
  })

  // The last byte of these letters is A0, which String.trim takes for a no-break space.
  it.each(['ПЕТР', 'voilà'])('keeps its last letter: %s', (name) => {
    expect(nameShown(name)).toBe(name)
  })
})

describe('a wrong BACKEND_URL', () => {
  it.each([
    'http://user:top/secret@portal/',
    'http://user:top#secret@portal/',
    'user:secret@portal/check',
    'ftp://portal/?key=1\nsecret',
  ])('is reported without its password or key: %j', (BACKEND_URL) => {
    let message = ''
    try {
      parseConfig({ BACKEND_URL, STATE_DIR: 'none' })
    } catch (error) {
      message = (error as ConfigError).message
    }
    expect(message).toContain('BACKEND_URL')
    expect(message).not.toContain('secret')
  })
})

describe.each(BACKEND_TYPES)('%s', (type) => {
  async function ask(question: Question, setUp?: (port: number) => string) {
    const middleware = createDemoMiddleware(type)
    const port = await middleware.listen()
    const url = new URL(setUp?.(port) ?? `http://127.0.0.1:${port}/portal`)
    const backend = createBackend(type, url, createExchange({ timeoutMs: 5_000 }))
    endings.push(
      () => middleware.close(),
      () => backend.close(),
    )
    return { answer: await backend.ask(question), middleware, backend }
  }

  it('sends path and User-Agent byte for byte, and asks for a body that is not packed', async () => {
    const bytes = Buffer.from('Канал').toString('latin1')
    const path = `/play/a%20b/${bytes}/%D0%9A`
    const { middleware } = await ask({ ...QUESTION, path, userAgent: `${bytes} "x" \xff` })
    expect(middleware.questions[0]?.headers).toMatchObject({
      'x-real-path': path,
      'x-real-ua': `${bytes} "x" \xff`,
      'accept-encoding': 'identity',
    })
  })

  // What a viewer sends is never an outage: with the door open it would be an admission.
  it.each([
    ['query', { query: 'token=a b' }],
    ['query, a tab', { query: 'token=a\tb' }],
    ['User-Agent', { userAgent: 'a\x7fb' }],
  ])('does not take odd bytes of a viewer for an outage: %s', async (_, change) => {
    expect((await ask({ ...QUESTION, ...change })).answer.outcome).not.toBe('unavailable')
  })

  it('reads no more of a body than its bound, though all of it is there to be read', async () => {
    let sent = 0
    const server = createServer((socket) => {
      socket.on('error', () => {})
      socket.once('data', () => {
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n')
        const pump = () => {
          while (!socket.destroyed && sent < 100_000_000) {
            sent += 65_536
            if (!socket.write(Buffer.alloc(65_536))) break
          }
        }
        socket.on('drain', pump)
        pump()
      })
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const accepted = once(server, 'connection')
    const { port } = server.address() as AddressInfo
    const exchange = createExchange({ timeoutMs: 5_000 })
    const backend = createBackend(type, new URL(`http://127.0.0.1:${port}/`), exchange)
    endings.push(
      () => new Promise((resolve) => server.close(resolve)),
      () => backend.close(),
    )
    expect(await backend.ask(QUESTION)).toMatchObject({ outcome: 'allow' })
    const [socket] = (await accepted) as [import('node:net').Socket]
    // A reset is an error too: only the end of the connection is waited for.
    if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve))
    expect(sent).toBeLessThan(20_000_000)
  })
})
