import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sendRaw } from './client.js'
import { startStack, type Stack } from './stack.js'

const OWN = '/play/a001/index.m3u8'
const OTHERS = '/play/b002/index.m3u8'

// What nginx tells the service, the service tells the backend, a proxy would tell nginx, and their look-alikes.
const NAMES = [
  'X-Original-URI', 'X-Real-IP', 'X-Real-Host', 'X-Real-UA', 'X-Real-Path', 'X-Session-ID', 'X-Session-Name', 'X-Channel-ID',
  'X-AuthDuration', 'X-UserId', 'X-Forwarded-For', 'X-Forwarded-Host', 'X-Forwarded-Proto', 'Forwarded', 'X-Original-URL',
  'X-Rewrite-URL', 'X-Accel-Redirect', 'X-Accel-Expires', 'X-HTTP-Method-Override', 'Authorization', 'Cookie', 'Via',
  'Cache-Control', 'Pragma', 'If-None-Match', 'If-Modified-Since', 'Upgrade', 'TE', 'Proxy', 'Proxy-Connection', 'Max-Forwards',
] // prettier-ignore
const VALUES = [OWN, '127.0.0.1', '10.0.0.1', 'a001', 'no-cache', '', 'x'.repeat(4_000)]

const line = (name: string, value: string) => `${name}: ${value}\r\n`
const FORGED: [string, string][] = [
  ...VALUES.map((value): [string, string] => [
    `each as ${JSON.stringify(value.slice(0, 30))}`,
    // nginx takes 32 KB of headers.
    NAMES.slice(0, value.length > 1_000 ? 7 : undefined)
      .map((name) => line(name, value))
      .join(''),
  ]),
  ['each with underscores', NAMES.map((name) => line(name.replaceAll('-', '_'), OWN)).join('')],
  ['each twice', NAMES.map((name) => line(name, OWN) + line(name.toLowerCase(), '10.0.0.1')).join('')],
  [
    'each named by Connection',
    line('Connection', NAMES.join(', ')) + NAMES.map((name) => line(name, OWN)).join(''),
  ],
  ['a folded one', `X: a\r\n X-Original-URI: ${OWN}\r\n`],
  ['one with a space before its colon', `X-Original-URI : ${OWN}\r\n`],
  ['one with a bare line feed', `X: a\nX-Original-URI: ${OWN}\n`],
  ['one with a carriage return', `X: a\rX-Original-URI: ${OWN}\r\n`],
  ['one with a NUL', `X: a\0\r\nX-Original-URI\0: ${OWN}\r\n`],
  ['thirty of 4 KB', Array.from({ length: 30 }, (_, at) => line(`X-${at}`, 'x'.repeat(4_000))).join('')],
]

/** A viewer who may see one channel says all that only nginx, the service or a backend may say. */
describe('headers of a viewer', () => {
  let stack: Stack
  beforeAll(async () => {
    stack = await startStack({ hasDemo: false, env: { EDGE_TTL: '1s' } })
    stack.middleware.answerWith((request, response) => {
      response
        .writeHead(request.headers['x-channel-id'] === 'a001' ? 200 : 403, { 'Content-Length': 0 })
        .end()
    })
  })
  afterAll(() => stack.stop())

  const statusOf = async (target: string, headers: string, host = line('Host', 'live')) => {
    const bytes = `GET ${target} HTTP/1.1\r\n${host}User-Agent: player/1.0\r\n${headers}Connection: close\r\n\r\n`
    return Number((await sendRaw(stack.site, bytes)).slice(9, 12))
  }

  it.each(FORGED)('%s: no effect', async (name, headers) => {
    const token = encodeURIComponent(name)
    // First the backend is asked, then nginx remembers.
    for (let time = 0; time < 3; time++) {
      expect(await statusOf(`${OTHERS}?token=${token}`, headers)).toBeOneOf([400, 403])
    }
    const asked = stack.middleware.questions.length
    const status = await statusOf(`${OWN}?token=${token}`, headers)
    expect(status).toBeOneOf([200, 400])
    if (status === 400) return
    expect(stack.middleware.questions).toHaveLength(asked + 1)
    const { headers: received } = stack.middleware.questions.at(-1)!
    expect(received).toMatchObject({
      'x-real-ip': '127.0.0.1',
      'x-real-host': 'live',
      'x-real-path': OWN,
      'x-real-ua': 'player/1.0',
      'x-channel-id': 'a001',
      'x-session-id': expect.stringMatching(/^[0-9a-f]{32}$/) as unknown,
    })
    const known = ['accept', 'accept-encoding', 'connection', 'host', 'user-agent', 'transfer-encoding']
    const others = Object.keys(received).filter((one) => !one.startsWith('x-') && !known.includes(one))
    expect(others).toEqual([])
    expect(Object.keys(received).filter((one) => one.startsWith('x-'))).toHaveLength(6)
  })

  it.each([
    ['LIVE', 'live'],
    ['live:8080', 'live'],
    ['live.', 'live'],
    ['[::1]:80', '[::1]'],
    ['192.0.2.1', '192.0.2.1'],
  ])('Host: %s is %s', async (host, received) => {
    expect(await statusOf(`${OWN}?host=${encodeURIComponent(host)}`, '', line('Host', host))).toBe(200)
    expect(stack.middleware.questions.at(-1)?.headers['x-real-host']).toBe(received)
  })

  it.each([
    ['none', ''],
    ['two', line('Host', 'live') + line('Host', 'a001')],
    ['with a slash', line('Host', 'live/play/a001')],
    ['with a space', line('Host', 'live a001')],
    ['with a NUL', line('Host', 'live\0')],
    ['with dots', line('Host', '..')],
  ])('Host: %s is a bad request', async (_, host) => {
    expect(await statusOf(OWN, '', host)).toBe(400)
  })

  it('the host of an absolute address goes before the header, for the decision too', async () => {
    expect(await statusOf(`http://tv${OWN}?absolute`, '')).toBe(200)
    expect(stack.middleware.questions.at(-1)?.headers).toMatchObject({
      'x-real-host': 'tv',
      'x-real-path': OWN,
    })
    expect(await statusOf(`http://a001${OTHERS}?absolute`, '')).toBe(403)
  })
})
