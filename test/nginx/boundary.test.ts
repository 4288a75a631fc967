import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sendRaw, view } from './client.js'
import { startStack, type Stack } from './stack.js'

/** A viewer admitted to a001 alone tries to get what belongs to b002. */
describe('what is served is what was judged', () => {
  let stack: Stack
  beforeAll(async () => {
    stack = await startStack()
    stack.middleware.answerWith((request, response) => {
      const status = request.headers['x-channel-id'] === 'a001' ? 200 : 403
      response.writeHead(status, { 'Content-Length': 0 }).end()
    })
    // nginx has the admission in its memory: what follows is judged by nginx, where it can be.
    for (let count = 0; count < 3; count++) await view(stack.site, '/play/a001/index.m3u8')
    await writeFile(join(stack.mediaDir, 'a001/with space.ts'), 'a001')
    await writeFile(join(stack.mediaDir, 'a001/Канал.ts'), 'a001')
  })
  afterAll(() => stack.stop())

  it.each([
    '/play/a001/../b002/init.mp4',
    '/play/a001/%2e%2e/b002/init.mp4',
    '/play/a001/.%2e/b002/init.mp4',
    '/play/a001%2f..%2fb002/init.mp4',
    '/play/a001/..%2fb002/init.mp4',
    '/play/a001/..;/b002/init.mp4',
    '/play/a001/..\\b002/init.mp4',
    '/play/a001/%5c..%5cb002/init.mp4',
    '/play//b002/init.mp4',
    '/play/./b002/init.mp4',
    '//play/a001/../b002/init.mp4',
    '/play/a001/x/../../b002/init.mp4',
    '/play/%62002/init.mp4',
    '/play/b002/init.mp4',
    '/play/b002/init.mp4?/play/a001/',
    '/play/b002/init.mp4#/play/a001/',
    '/play/a001/#/../../b002/init.mp4',
    '/play/a001/?/../../b002/init.mp4',
    '/play/a001/%00/../../b002/init.mp4',
    '/play/a001/%c0%ae%c0%ae/b002/init.mp4',
    '/play/a001/\xc0\xae\xc0\xae/b002/init.mp4',
    '/play/b002/../a001/../b002/init.mp4',
    '/x/../play/b002/init.mp4',
  ])('%s', async (target) => {
    const init = await readFile(join(stack.mediaDir, 'b002/init.mp4'), 'latin1')
    for (const host of ['x', 'a001']) {
      for (const prefix of ['', 'http://a001']) {
        const head = `GET ${prefix}${target} HTTP/1.1\r\nHost: ${host}\r\nUser-Agent: player/1.0\r\n`
        const reply = await sendRaw(stack.site, `${head}Connection: close\r\n\r\n`)
        expect(reply).not.toContain(init.slice(0, 16))
      }
    }
  })

  it.each([
    '/play/a001/index.m3u8',
    '/play/a001/low/0.ts',
    '/play/a001/with%20space.ts',
    '/play/a001/%D0%9A%D0%B0%D0%BD%D0%B0%D0%BB.ts',
    '/play/a001/%d0%9a%d0%b0%d0%bd%d0%b0%d0%bb.ts',
    '/play/a001/\xd0\x9a\xd0\xb0\xd0\xbd\xd0\xb0\xd0\xbb.ts',
  ])('his own is served: %s', async (target) => {
    expect((await view(stack.site, target)).status).toBe(200)
  })

  it('headers that only nginx may send change nothing', async () => {
    const names = ['X-Original-URI', 'X-Real-IP', 'X-Real-Host', 'X-Real-UA', 'X-Channel-ID', 'X-Session-ID']
    const forged = Object.fromEntries(names.map((name) => [name, '/play/a001/index.m3u8']))
    const headers = { ...forged, 'X-Forwarded-For': '192.0.2.1', Connection: 'x-real-ip, x-original-uri' }
    expect((await view(stack.site, '/play/b002/init.mp4', { headers })).status).toBe(403)
    const reply = await view(stack.site, '/play/a001/index.m3u8?forged', { headers })
    expect(reply.status).toBe(200)
    expect(stack.middleware.questions.at(-1)?.headers).toMatchObject({
      'x-real-ip': '127.0.0.1',
      'x-real-path': '/play/a001/index.m3u8',
      'x-real-ua': 'player/1.0',
    })
  })
})

describe('with the service out of reach', () => {
  it.each([
    ['204 lets viewers in', [], 200],
    ['403 keeps them out', [['hls-auth/location.conf', 'return 204;', 'return 403;']] as const, 403],
  ])('%s', async (_, changes, status) => {
    const stack = await startStack({ changes })
    await stack.stopService()
    expect((await view(stack.site, '/play/a001/index.m3u8?token=wrong')).status).toBe(status)
    await stack.stop()
  })
})

describe('with the backend out of reach', () => {
  it.each([
    ['allow', 200],
    ['deny', 403],
  ])('WHEN_BACKEND_DOWN=%s answers %d', async (WHEN_BACKEND_DOWN, status) => {
    const stack = await startStack({ env: { WHEN_BACKEND_DOWN, DENY_TTL: '1s' } })
    expect((await view(stack.site, '/play/live/index.m3u8?token=wrong')).status).toBe(403)
    expect((await view(stack.site, '/play/b002/index.m3u8?token=demo')).status).toBe(200)
    await stack.middleware.close()
    // Known decisions stand, new viewers get what the operator chose.
    expect((await view(stack.site, '/play/live/index.m3u8?token=wrong')).status).toBe(403)
    expect((await view(stack.site, '/play/b002/0.m4s')).status).toBe(200)
    expect((await view(stack.site, '/play/a001/index.m3u8?token=new')).status).toBe(status)
    expect(stack.log.at(-1)).toMatchObject({
      outcome: WHEN_BACKEND_DOWN,
      source: status === 200 ? 'open-door' : 'closed-door',
      backend: 'refused',
    })
    await stack.stop()
  })
})
