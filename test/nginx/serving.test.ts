import { Agent } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sendRaw, view } from './client.js'
import { startStack, type Stack } from './stack.js'

const CYRILLIC = 'Иван "Петров"'

let stack: Stack
beforeAll(async () => {
  stack = await startStack()
})
afterAll(() => stack.stop())

/** The last line of nginx's access log about a path. */
async function logged(path: string): Promise<string | undefined> {
  return (await stack.nginx.accessLog()).findLast((line) => line.includes(` ${path}"`))
}

describe('a viewer with a token', () => {
  it.each([
    ['playlist', '/play/a001/index.m3u8', '?token=demo', 'application/vnd.apple.mpegurl', 'no-cache'],
    ['variant', '/play/a001/low/index.m3u8', '', 'application/vnd.apple.mpegurl', 'no-cache'],
    ['segment', '/play/a001/low/0.ts', '', 'video/mp2t', 'private, max-age=3600'],
    ['key', '/play/a001/low/enc.key', '', 'application/octet-stream', 'no-cache'],
  ])('gets the %s, and the log has the name', async (_, path, query, type, cache) => {
    const reply = await view(stack.site, path + query)
    expect(reply.status).toBe(200)
    expect(reply.headers).toMatchObject({ 'content-type': type, 'cache-control': cache })
    expect(await logged(path)).toMatch(/ 200 .*session="demo-viewer" id=[0-9a-f]{32} channel="a001"/)
  })

  it('gets fMP4 with its types', async () => {
    expect((await view(stack.site, '/play/b002/index.m3u8?token=demo')).status).toBe(200)
    expect((await view(stack.site, '/play/b002/init.mp4')).headers['content-type']).toBe('video/mp4')
    expect((await view(stack.site, '/play/b002/0.m4s')).headers['content-type']).toBe('video/iso.segment')
  })

  it('may use HEAD, Range and If-None-Match', async () => {
    const head = await view(stack.site, '/play/a001/low/0.ts', { method: 'HEAD' })
    expect([head.status, head.headers['content-length'], head.body.length]).toEqual([200, '29152', 0])
    const part = await view(stack.site, '/play/a001/low/0.ts', { headers: { Range: 'bytes=0-99' } })
    expect([part.status, part.body.length, part.headers['content-range']]).toEqual([
      206,
      100,
      'bytes 0-99/29152',
    ])
    const etag = head.headers.etag
    const same = await view(stack.site, '/play/a001/low/0.ts', { headers: { 'If-None-Match': etag } })
    expect([same.status, same.headers['cache-control']]).toEqual([304, 'private, max-age=3600'])
  })

  it('is told neither name nor session', async () => {
    const { headers } = await view(stack.site, '/play/a001/index.m3u8?token=demo')
    expect(Object.keys(headers).filter((name) => name.startsWith('x-'))).toEqual([])
  })

  it('finds no file that is not there, and no one remembers it', async () => {
    const reply = await view(stack.site, '/play/a001/low/99.ts')
    expect([reply.status, reply.headers['cache-control']]).toEqual([404, 'no-store'])
  })
})

describe('a viewer without a right', () => {
  const stranger = { headers: { 'User-Agent': 'stranger/1.0' } }

  it.each([
    ['a wrong token', '/play/a001/index.m3u8?token=wrong', 403],
    ['a wrong token for a segment', '/play/a001/low/0.ts?token=wrong', 403],
    ['no token', '/play/a001/low/0.ts', 401],
    ['a `?` alone', '/play/a001/low/0.ts?', 401],
    ['a path that is no channel', '/play/index.m3u8?token=demo', 403],
  ])('is refused with %s', async (_, target, status) => {
    const reply = await view(stack.site, target, stranger)
    expect(reply.status).toBe(status)
    expect(reply.headers).toMatchObject({ 'access-control-allow-origin': '*', 'cache-control': 'no-store' })
  })

  it('is refused in another channel than his own, and with another player', async () => {
    expect((await view(stack.site, '/play/a001/low/0.ts')).status).toBe(200)
    expect((await view(stack.site, '/play/live/0.ts')).status).toBe(401)
    expect(
      (await view(stack.site, '/play/a001/low/0.ts', { headers: { 'User-Agent': 'player/2' } })).status,
    ).toBe(401)
  })

  it('cannot reach the question itself', async () => {
    const asked = stack.questions()
    expect((await view(stack.site, '/_hls_auth')).status).toBe(404)
    for (const target of ['_hls_auth', 'http:_hls_auth', 'http://_hls_auth', '*']) {
      const request = `GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`
      expect(await sendRaw(stack.site, request)).toMatch(/^HTTP\/1.1 (400|404|200) /)
      expect(stack.questions()).toBe(asked)
    }
  })
})

it('answers a preflight without asking', async () => {
  const asked = stack.middleware.questions.length
  const reply = await view(stack.site, '/play/a001/low/1.ts', {
    method: 'OPTIONS',
    headers: { Origin: 'https://tv.example', 'Access-Control-Request-Headers': 'range' },
  })
  expect(reply.status).toBe(204)
  expect(reply.body.length).toBe(0)
  expect(reply.headers).toMatchObject({
    'access-control-allow-origin': '*',
    'access-control-allow-methods': 'GET, HEAD, OPTIONS',
    'access-control-allow-headers': expect.stringContaining('Range') as string,
  })
  expect(stack.middleware.questions.length).toBe(asked)
})

describe("what the viewer sends reaches the backend's eyes only", () => {
  it.each([
    ['plus, escaped plus and escaped space', 'token=a+b%2Bc%20d'],
    ['a doubled token', 'token=one&token=two'],
    ['quotes and brackets', `token='"<>{}|^\`[]`],
    ['a broken escape', 'token=%zz%'],
    ['a second question mark', 'token=a?b'],
    ['7 KB', `token=${'x'.repeat(7_000)}`],
  ])('byte for byte: %s', async (_, query) => {
    const reply = await view(stack.site, `/play/a001/index.m3u8?${query}`)
    expect(reply.status).toBe(403)
    expect(stack.middleware.questions.at(-1)?.query).toBe(query)
  })

  it('with the six headers', async () => {
    await view(stack.site, '/play/a001/index.m3u8?token=six', { headers: { Host: 'Live.Example.com:8080' } })
    expect(stack.middleware.questions.at(-1)?.headers).toMatchObject({
      'x-session-id': expect.stringMatching(/^[0-9a-f]{32}$/) as string,
      'x-channel-id': 'a001',
      'x-real-ip': '127.0.0.1',
      'x-real-path': '/play/a001/index.m3u8',
      'x-real-ua': 'player/1.0',
      'x-real-host': 'live.example.com',
    })
  })

  it('without a User-Agent, and with the absolute form of a request', async () => {
    const reply = await sendRaw(
      stack.site,
      'GET http://live.example.com/play/a001/index.m3u8?token=demo HTTP/1.1\r\nHost: other\r\nConnection: close\r\n\r\n',
    )
    expect(reply).toMatch(/^HTTP\/1.1 200 /)
    const question = stack.middleware.questions.at(-1)
    expect(question?.headers).toMatchObject({
      'x-real-host': 'live.example.com',
      'x-real-path': '/play/a001/index.m3u8',
    })
    expect(question?.headers).not.toHaveProperty('x-real-ua')
  })

  it('refuses a User-Agent of control bytes and does not take it for an outage', async () => {
    const reply = await sendRaw(
      stack.site,
      'GET /play/a001/index.m3u8?token=bad HTTP/1.1\r\nHost: x\r\nUser-Agent: a\x01b\r\nConnection: close\r\n\r\n',
    )
    expect(reply).toMatch(/^HTTP\/1.1 40[03] /)
  })
})

describe('connections', () => {
  it.each([
    ['200', '/play/a001/low/0.ts', 200],
    ['403', '/play/a001/index.m3u8?token=wrong', 403],
    ['401', '/play/live/0.ts', 401],
  ])('to the service are used again after each %s', async (_, target, status) => {
    await view(stack.site, '/play/a001/index.m3u8?token=demo')
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    await view(stack.site, target, { agent })
    const before = stack.connections()
    const statuses = new Set<number>()
    for (let count = 0; count < 1_000; count++)
      statuses.add((await view(stack.site, target, { agent })).status)
    agent.destroy()
    expect([...statuses]).toEqual([status])
    // nginx itself renews a connection after 1,000 requests.
    expect(stack.connections() - before).toBeLessThanOrEqual(2)
  })

  it('carry no byte of a body into the next question', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const smuggled = 'GET /auth HTTP/1.1\r\nX-Original-URI: /play/a001/x\r\n\r\n'
    for (let count = 0; count < 20; count++) {
      const post = await view(stack.site, '/play/a001/low/0.ts', { method: 'POST', body: smuggled, agent })
      expect(post.status).toBe(405)
      expect((await view(stack.site, '/play/a001/low/0.ts', { agent })).status).toBe(200)
      const other = { agent, headers: { 'User-Agent': 'stranger/1.0' } }
      expect((await view(stack.site, '/play/a001/low/0.ts', other)).status).toBe(401)
    }
    agent.destroy()
  })
})

describe('logs', () => {
  it('show a name in any script, with its quotes escaped', async () => {
    stack.middleware.answerWith((_, response) => {
      response
        .writeHead(200, { 'X-Session-Name': Buffer.from(CYRILLIC).toString('latin1'), 'Content-Length': 0 })
        .end()
    })
    const reply = await view(stack.site, '/play/a001/index.m3u8?token=cyrillic')
    stack.middleware.answerWith(undefined)
    expect(reply.status).toBe(200)
    expect(await logged('/play/a001/index.m3u8')).toContain('session="Иван \\"Петров\\""')
    expect(stack.log.at(-1)).toMatchObject({
      name: CYRILLIC,
      outcome: 'allow',
      backend: 200,
      ip: '127.0.0.1',
    })
  })

  it('hold no token', async () => {
    await view(stack.site, '/play/a001/index.m3u8?token=secret-token', {
      headers: { Referer: 'https://tv.example/?token=secret-token' },
    })
    const all = [await stack.nginx.accessLog(), await stack.nginx.errorLog(), stack.log].map((log) =>
      JSON.stringify(log),
    )
    expect(all.join()).toContain('tv.example')
    expect(all.join()).not.toContain('secret-token')
  })

  it('of the service hold a line for each new decision, not for each request', async () => {
    const lines = stack.log.length
    for (let count = 0; count < 5; count++) {
      await view(stack.site, '/play/b002/index.m3u8?token=demo', { headers: { 'User-Agent': 'counted/1.0' } })
      await view(stack.site, `/play/b002/${count}.m4s`, { headers: { 'User-Agent': 'counted/1.0' } })
    }
    expect(stack.log.length - lines).toBe(1)
  })
})
