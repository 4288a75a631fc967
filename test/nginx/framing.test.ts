import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sendRaw, view } from './client.js'
import { startStack, type Stack } from './stack.js'

const OWN = '/play/a001/low/0.ts'
const OTHERS = '/play/b002/init.mp4'
const get = (target: string, more = '') =>
  `GET ${target} HTTP/1.1\r\nHost: x\r\nUser-Agent: player/1.0\r\n${more}\r\n`
const send = (method: string, more: string, body: string) =>
  `${method} ${OWN} HTTP/1.1\r\nHost: x\r\nUser-Agent: player/1.0\r\n${more}\r\n${body}`
const LAST = 'Connection: close\r\n'
const smuggled = get(OTHERS)

/** Statuses of the answers on a connection, in their order, without those that announce another. */
const statusesIn = (reply: string) =>
  [...reply.matchAll(/HTTP\/1\.1 (\d+) /g)]
    .map(([, status]) => Number(status))
    .filter((status) => status >= 200)

/** One viewer may see a001 alone; whatever his requests carry, each is answered as if it came alone. */
describe('bodies and framing', () => {
  let stack: Stack
  beforeAll(async () => {
    // Without nginx's memory, so that each request goes to the service, all on one connection.
    stack = await startStack({
      hasDemo: false,
      env: { EDGE_TTL: '0' },
      changes: [['hls-auth/upstream.conf', 'keepalive 2048;', 'keepalive 1;']],
    })
    stack.middleware.answerWith((request, response) => {
      response
        .writeHead(request.headers['x-channel-id'] === 'a001' ? 200 : 403, { 'Content-Length': 0 })
        .end()
    })
  })
  afterAll(() => stack.stop())
  /** Sends, and then sees that another viewer, on nginx's same connection to the service, gets his own answers. */
  async function answers(bytes: string): Promise<number[]> {
    const reply = await sendRaw(stack.site, bytes)
    expect(reply).not.toContain('ftyp')
    for (const [target, status] of [
      [OWN, 200],
      [OTHERS, 403],
      [OWN, 200],
    ] as const) {
      expect((await view(stack.site, target, { headers: { 'User-Agent': 'another' } })).status).toBe(status)
    }
    return statusesIn(reply)
  }

  it.each([
    ['POST with a body', send('POST', `Content-Length: ${smuggled.length}\r\n`, smuggled), [405, 200]],
    ['PUT with a body', send('PUT', `Content-Length: ${smuggled.length}\r\n`, smuggled), [405, 200]],
    ['GET with a body', send('GET', `Content-Length: ${smuggled.length}\r\n`, smuggled), [200, 200]],
    [
      'GET with a chunked body',
      send(
        'GET',
        'Transfer-Encoding: chunked\r\n',
        `${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`,
      ),
      [200, 200],
    ],
    [
      'POST with an empty chunked body',
      send('POST', 'Transfer-Encoding: chunked\r\n', '0\r\n\r\n'),
      [405, 200],
    ],
    [
      'POST that expects 100-continue',
      send('POST', `Expect: 100-continue\r\nContent-Length: ${smuggled.length}\r\n`, smuggled),
      [405, 200],
    ],
    ['DELETE', send('DELETE', '', ''), [405, 200]],
    ['an unknown method', send('BREW', '', ''), [405, 200]],
    ['HEAD', send('HEAD', '', ''), [200, 200]],
    ['a refused one', get(OTHERS), [403, 200]],
    [
      'a refused one with a body',
      `POST ${OTHERS} HTTP/1.1\r\nHost: x\r\nUser-Agent: player/1.0\r\nContent-Length: 5\r\n\r\nGET /`,
      [403, 200],
    ],
    ['a refused, an admitted and a refused one', get(OTHERS) + get(OWN) + get(OTHERS), [403, 200, 403, 200]],
    ['a part', get(OWN, 'Range: bytes=0-9\r\n'), [206, 200]],
    ['parts', get(OWN, 'Range: bytes=0-1,4-5\r\n'), [206, 200]],
    ['a part that is not there', get(OWN, 'Range: bytes=99999999-\r\n'), [416, 200]],
    ['a nonsense part', get(OWN, 'Range: bytes=9-1,x\r\n'), [416, 200]],
    ['a part of what is refused', get(OTHERS, 'Range: bytes=0-9\r\n'), [403, 200]],
  ])('%s: the next request is answered as if alone', async (_, bytes, expected) => {
    const statuses = await answers(bytes + get(OWN, LAST))
    expect(statuses).toEqual(expected)
  })

  it.each([
    ['two lengths', send('POST', `Content-Length: 5\r\nContent-Length: 50\r\n`, smuggled)],
    [
      'a length and chunks',
      send('POST', `Content-Length: 5\r\nTransfer-Encoding: chunked\r\n`, `0\r\n\r\n${smuggled}`),
    ],
    ['a length that is none', send('POST', `Content-Length: -1\r\n`, smuggled)],
    ['a length with a sign', send('POST', `Content-Length: +5\r\n`, smuggled)],
    ['a length beyond all', send('POST', `Content-Length: 99999999999999999999\r\n`, smuggled)],
    ['an unknown coding', send('POST', `Transfer-Encoding: gzip, chunked\r\n`, smuggled)],
    [
      'chunked twice',
      send('POST', `Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n`, smuggled),
    ],
    ['a chunk without a size', send('POST', `Transfer-Encoding: chunked\r\n`, `zz\r\n${smuggled}`)],
    [
      'chunks with HTTP/1.0',
      `POST ${OWN} HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
    ],
    ['the preface of HTTP/2', `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${smuggled}`],
    ['a tunnel', `CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n${smuggled}`],
  ])('%s: nothing behind it is served', async (_, bytes) => {
    const statuses = await answers(bytes + get(OTHERS, LAST))
    expect(statuses.filter((status) => status < 300)).toEqual([])
  })

  it('a body that breaks off leaves nothing behind', async () => {
    const { hostname, port } = new URL(stack.site)
    const socket = connect(Number(port), hostname)
    socket.write(send('POST', 'Content-Length: 1000\r\n', 'half'))
    await new Promise((resolve) => socket.once('data', resolve))
    socket.destroy()
    expect(await answers(get(OWN, LAST))).toEqual([200])
  })

  it('HTTP/1.0 and 0.9 are judged like the rest', async () => {
    expect(await sendRaw(stack.site, `GET ${OWN} HTTP/1.0\r\nUser-Agent: player/1.0\r\n\r\n`)).toMatch(
      /^HTTP\/1\.1 200/,
    )
    expect(await sendRaw(stack.site, `GET ${OTHERS} HTTP/1.0\r\nUser-Agent: player/1.0\r\n\r\n`)).toMatch(
      /^HTTP\/1\.1 403/,
    )
    expect(await sendRaw(stack.site, `GET ${OTHERS}\r\n`)).not.toContain('ftyp')
  })
})
