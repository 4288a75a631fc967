import type { Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import type { DemoHandler } from '../demo/middleware.js'
import { view } from './client.js'
import { startStack, type Stack } from './stack.js'

let stack: Stack
afterEach(() => stack.stop())

const statusOf = async (target: string, address = '127.0.0.1') =>
  (await view(stack.site, target, { address })).status

const outageLines = () => stack.log.filter(({ msg }) => String(msg).startsWith('outage'))

describe('a backend', () => {
  it('that hangs keeps nobody waiting once it is found out, and is told from one that is back', async () => {
    stack = await startStack({ env: { BACKEND_TIMEOUT: '500ms', DENY_TTL: '1s' }, hasDemo: false })
    expect(await statusOf('/play/a001/index.m3u8?token=demo')).toBe(200)
    const held: Socket[] = []
    stack.middleware.answerWith((request) => held.push(request.socket))
    // One is enough: it is the service's own questions that tell.
    expect(await statusOf('/play/a001/index.m3u8?token=wrong', '127.0.0.2')).toBe(200)
    expect(outageLines()).toMatchObject([
      {
        backend: 'timeout',
        msg: 'outage began: the backend fails or is too slow, new viewers get WHEN_BACKEND_DOWN',
      },
    ])

    // Behind the open door, without a question.
    expect(await statusOf('/play/b002/index.m3u8?token=wrong')).toBe(200)
    expect(stack.log.at(-1)).toMatchObject({ source: 'open-door', backend: 'breaker', ms: 0 })
    expect(await statusOf('/play/a001/low/0.ts')).toBe(200)

    // It is back, and who came in meanwhile is closed.
    stack.middleware.answerWith((request, response) => {
      response.writeHead(request.url!.includes('demo') ? 200 : 403, { 'Content-Length': 0 }).end()
    })
    await expect
      .poll(() => statusOf('/play/b002/index.m3u8?token=wrong'), { timeout: 20_000, interval: 50 })
      .toBe(403)
    const messages = stack.log.map(({ msg }) => String(msg))
    expect(messages.findLast((msg) => msg.startsWith('outage'))).toMatch(/^outage (ended|settled)/)
    expect(await statusOf('/play/c003/index.m3u8?token=wrong')).toBe(403)
    expect(await statusOf('/play/a001/low/0.ts')).toBe(200)
    for (const socket of held) socket.destroy()
  })

  it.each<[string, DemoHandler]>([
    ['hangs', () => {}],
    ['breaks off', (request) => request.socket.destroy()],
    ['fails', (_, response) => response.writeHead(500).end()],
    ['is unavailable', (_, response) => response.writeHead(503).end()],
    ['has too much to say', (_, response) => response.writeHead(200, { X: 'x'.repeat(40_000) }).end()],
  ])('that %s for one viewer lets nobody in', async (_, answer) => {
    stack = await startStack({ env: { BACKEND_TIMEOUT: '300ms' }, hasDemo: false })
    stack.middleware.answerViewersWith(answer)
    const statuses = Array.from({ length: 4 }, (__, number) =>
      statusOf(`/play/a001/index.m3u8?token=${number}`, `127.0.0.${number + 2}`),
    )
    expect(await Promise.all(statuses)).toEqual([403, 403, 403, 403])
    expect(outageLines()).toEqual([])
  })

  it('that is back is found out by itself, and who came in meanwhile is checked without being seen', async () => {
    stack = await startStack({ hasDemo: false })
    expect(await statusOf('/play/a001/index.m3u8?token=demo')).toBe(200)
    await stack.middleware.close()
    const viewers = Array.from({ length: 12 }, (_, number) => ({
      address: `127.0.0.${number + 10}`,
      token: number % 3 === 0 ? 'wrong' : 'demo',
    }))
    for (const { address, token } of viewers)
      expect(await statusOf(`/play/b002/index.m3u8?token=${token}`, address)).toBe(200)
    // Each in a line of his own.
    for (const { address } of viewers) {
      expect(stack.log).toContainEqual(
        expect.objectContaining({
          source: 'open-door',
          outcome: 'allow',
          channel: 'b002',
          ip: address,
          session: expect.stringMatching(/^[0-9a-f]{32}$/) as unknown,
        }),
      )
    }
    await stack.middleware.listen(stack.middlewarePort)
    await expect.poll(() => outageLines().length).toBe(3)
    expect(outageLines().slice(1)).toMatchObject([
      { admitted: 12 },
      { admitted: 12, confirmed: 8, closed: 4, unchecked: 0 },
    ])
    // nginx repeats what no backend has decided for two seconds at most; EDGE_TTL is ten.
    for (const { address, token } of viewers) {
      await expect
        .poll(() => statusOf('/play/b002/0.m4s' + (token === 'wrong' ? '?token=wrong' : ''), address))
        .toBe(token === 'demo' ? 200 : 403)
    }
  })

  it('and one that is slow is an outage too, until an answer comes in time', async () => {
    stack = await startStack({ env: { BACKEND_SLOW: '300ms' }, hasDemo: false })
    stack.middleware.answerWith((_, response) => {
      setTimeout(() => response.writeHead(200, { 'Content-Length': 0 }).end(), 400)
    })
    // Slow, but a decision.
    expect(await statusOf('/play/a001/index.m3u8?token=demo', '127.0.0.8')).toBe(200)
    expect(stack.log.at(-1)).toMatchObject({ source: 'backend', backend: 200 })
    // By itself: it has asked three times, a second apart.
    await expect.poll(() => outageLines().length, { timeout: 10_000 }).toBe(1)
    expect(await statusOf('/play/a001/index.m3u8?token=demo', '127.0.0.9')).toBe(200)
    expect(stack.log.findLast(({ ip }) => ip === '127.0.0.9')).toMatchObject({
      source: 'open-door',
      backend: 'breaker',
      ms: 0,
    })
    stack.middleware.answerWith(undefined)
    await expect.poll(() => outageLines().length, { timeout: 10_000 }).toBe(3)
    expect(outageLines().at(-1)).toMatchObject({ admitted: 1, confirmed: 1 })
  })
})
