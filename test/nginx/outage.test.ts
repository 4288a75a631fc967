import type { Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { view } from './client.js'
import { startStack, type Stack } from './stack.js'

let stack: Stack
afterEach(() => stack.stop())

const statusOf = async (target: string) => (await view(stack.site, target)).status

describe('a backend that hangs', () => {
  it('keeps nobody waiting once it is found out, and is told from one that is back', async () => {
    stack = await startStack({ env: { BACKEND_TIMEOUT: '300ms', DENY_TTL: '1s' }, hasDemo: false })
    expect(await statusOf('/play/a001/index.m3u8?token=demo')).toBe(200)
    const held: Socket[] = []
    stack.middleware.answerWith((request) => held.push(request.socket))
    // Five wait for the deadline, at once.
    const first = ['a', 'b', 'c', 'd', 'e'].map((name) => statusOf(`/play/${name}/index.m3u8?token=wrong`))
    await Promise.all(first)
    expect(stack.log.at(-1)).toMatchObject({
      msg: expect.stringMatching(/^(outage began|decided)/) as unknown,
    })
    expect(stack.log.some(({ msg }) => String(msg).startsWith('outage began'))).toBe(true)

    // Behind the open door, without a question.
    expect(await statusOf('/play/b002/index.m3u8?token=wrong')).toBe(200)
    expect(stack.log.at(-1)).toMatchObject({ source: 'open-door', backend: 'breaker', ms: 0 })
    expect(await statusOf('/play/a001/low/0.ts')).toBe(200)

    // It is back: the next request of one who came in meanwhile finds it out, and he is closed.
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
})
