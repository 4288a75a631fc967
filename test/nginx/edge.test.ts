import { afterEach, describe, expect, it, vi } from 'vitest'
import { sendRaw, view } from './client.js'
import { startStack, type Stack, type StackOptions } from './stack.js'

// The service's clock, to be put forward; nginx keeps its own.
const ahead = vi.hoisted(() => ({ ms: 0 }))
vi.mock('../../service/clock.js', async (original) => {
  const { now } = await original<typeof import('../../service/clock.js')>()
  return { now: () => now() + ahead.ms }
})

let stack: Stack
afterEach(() => stack.stop())

async function start(options?: StackOptions): Promise<void> {
  stack = await startStack(options)
}

/** Asks often enough that nginx remembers, and returns the last status. */
async function warm(target: string, headers = {}): Promise<number> {
  let status = 0
  for (let count = 0; count < 3; count++) status = (await view(stack.site, target, { headers })).status
  return status
}

describe("nginx's memory", () => {
  it('answers for a viewer who is admitted, and for one who is refused, with name and status', async () => {
    await start()
    expect(await warm('/play/a001/index.m3u8?token=demo')).toBe(200)
    expect(await warm('/play/a001/low/0.ts')).toBe(200)
    expect(await warm('/play/a001/low/0.ts?token=wrong')).toBe(403)
    const asked = stack.questions()
    for (let count = 0; count < 50; count++) {
      expect((await view(stack.site, `/play/a001/low/${count % 10}.ts`)).status).toBe(200)
      expect((await view(stack.site, `/play/a001/low/${count % 10}.ts?token=wrong`)).status).toBe(403)
    }
    expect(stack.questions()).toBe(asked)
    const log = await stack.nginx.accessLog()
    expect(log.at(-2)).toMatch(/ 200 .*session="demo-viewer" id=[0-9a-f]{32} channel="a001"/)
    expect(log.at(-1)).toMatch(/ 403 .*session="" id= channel="a001"/)
  })

  it('is empty with EDGE_TTL=0', async () => {
    await start({ env: { EDGE_TTL: '0' } })
    await warm('/play/a001/index.m3u8?token=demo')
    const asked = stack.questions()
    await warm('/play/a001/low/0.ts')
    expect(stack.questions() - asked).toBe(3)
  })

  it('holds no refusal of a request without credentials: the viewer may be admitted the next moment', async () => {
    await start()
    expect(await warm('/play/a001/low/0.ts')).toBe(401)
    expect((await view(stack.site, '/play/a001/index.m3u8?token=demo')).status).toBe(200)
    expect((await view(stack.site, '/play/a001/low/0.ts')).status).toBe(200)
  })

  it('is one for each viewer: no part of the question can be moved into another', async () => {
    await start()
    expect(await warm('/play/a001/low/0.ts?token=demo')).toBe(200)
    const asked = stack.questions()
    const others: [string, Record<string, string>][] = [
      ['/play/a001/low/0.ts?token=wrong', {}],
      ['/play/a001/low/0.ts', { 'User-Agent': 'token=demo player/1.0' }],
      ['/play/a001/low/0.ts?token=dem', { 'User-Agent': 'o player/1.0' }],
      ['/play/a001/low/0.ts?', { 'User-Agent': '?token=demo player/1.0' }],
      ['/play/a001/0.ts', { 'User-Agent': 'low/ token=demo player/1.0' }],
      ['/play/a001/low/0.ts?token=wrong', { Host: 'token=demo' }],
      ['/play/b002/0.m4s?token=wrong', { Referer: '/play/a001/low/0.ts?token=demo' }],
    ]
    for (const [target, headers] of others) {
      expect([401, 403]).toContain((await view(stack.site, target, { headers })).status)
    }
    expect(stack.questions() - asked).toBe(others.length)
  })

  it('does not speak for a path that means another folder', async () => {
    await start()
    stack.middleware.answerWith((request, response) => {
      const status = request.headers['x-channel-id'] === 'a001' ? 200 : 403
      response.writeHead(status, { 'Content-Length': 0 }).end()
    })
    expect(await warm('/play/a001/index.m3u8')).toBe(200)
    const init = ['/play/a001/..%2fb002%2finit.mp4', '/play/a001/%2e%2e%2fb002%2finit.mp4', '/play/a001/..']
    for (const target of [
      ...init,
      '/play/a001/.',
      '/play/a001/../b002/init.mp4',
      '/play/a001//../b002/init.mp4',
    ]) {
      const request = `GET ${target} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: player/1.0\r\nConnection: close\r\n\r\n`
      expect(await sendRaw(stack.site, request)).toMatch(/^HTTP\/1.1 40[03] /)
    }
  })

  it('is not asked of by what is too long for it, which no log complains of', async () => {
    await start()
    const long = 'x'.repeat(7_000)
    expect(await warm(`/play/a001/low/0.ts?token=${long}`)).toBe(403)
    expect(await warm('/play/a001/low/0.ts?token=demo', { 'User-Agent': long })).toBe(200)
    expect(await warm('/play/a001/low/0.ts?token=demo', { Host: 'x'.repeat(300) })).toBe(200)
    expect(await stack.nginx.errorLog()).toBe('')
  })

  it.each([
    ['keeps viewers out', [['hls-auth/location.conf', 'return 204;', 'return 403;']] as const, 403],
    ['lets viewers in', [], 200],
  ])('stands when the service is gone, where nginx otherwise %s', async (_, changes, unknown) => {
    await start({ changes })
    expect(await warm('/play/a001/low/0.ts?token=demo')).toBe(200)
    expect(await warm('/play/a001/low/0.ts?token=wrong')).toBe(403)
    await stack.stopService()
    expect((await view(stack.site, '/play/a001/low/1.ts?token=demo')).status).toBe(200)
    expect((await view(stack.site, '/play/a001/low/1.ts?token=wrong')).status).toBe(403)
    expect((await view(stack.site, '/play/a001/low/1.ts?token=new')).status).toBe(unknown)
  })

  it('stands beyond its time while the service is gone', async () => {
    await start({ env: { EDGE_TTL: '1s', DENY_TTL: '3s' } })
    expect(await warm('/play/a001/low/0.ts?token=demo')).toBe(200)
    expect(await warm('/play/a001/low/0.ts?token=wrong')).toBe(403)
    await stack.stopService()
    const seen = new Set<number>()
    for (const end = performance.now() + 3_500; performance.now() < end;) {
      seen.add((await view(stack.site, '/play/a001/low/1.ts?token=wrong')).status)
    }
    expect([...seen]).toEqual([403])
  })

  it.each([
    ['pushed out by others', 'MAX_SESSIONS'],
    ['refused at its re-check', 'SESSION_RECHECK'],
  ])('lets in nobody for longer than EDGE_TTL whose session is %s', async (_, how) => {
    await start({ env: { EDGE_TTL: '3s', MAX_SESSIONS: '1' } })
    expect(await warm('/play/a001/index.m3u8?token=demo')).toBe(200)
    expect(await warm('/play/a001/low/0.ts')).toBe(200)
    if (how === 'MAX_SESSIONS') {
      const other = { address: '127.0.0.2' }
      expect((await view(stack.site, '/play/a001/index.m3u8?token=demo', other)).status).toBe(200)
    } else {
      stack.middleware.answerWith((_request, response) => response.writeHead(401).end())
      ahead.ms += 180_000
    }
    const end = performance.now() + 3_000
    // Somebody who asks all the time, so that nginx renews what it has; when he asked decides, not when he was answered.
    const seen = new Set<number>()
    for (let isLate = false; !isLate || performance.now() < end + 500;) {
      isLate = performance.now() >= end
      const { status } = await view(stack.site, '/play/a001/low/1.ts')
      if (isLate) expect(status).toBe(401)
      seen.add(status)
    }
    expect([...seen]).toEqual([200, 401])
  })
})
