import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { view } from './client.js'
import { startStack, type Stack } from './stack.js'

const bytes = (text: string) => Buffer.from(text).toString('latin1')
const HIGH = Array.from({ length: 128 }, (_, at) => String.fromCharCode(0x80 + at)).join('')

// [what the backend sends, one character a byte; what the logs show of it]
const NAMES: readonly (readonly [name: string, sent: string, shown: string])[] = [
  ['quotes', `a"b' "c"`, `a"b' "c"`],
  ['backslashes', 'a\\b\\"c\\', 'a\\b\\"c\\'],
  ['escapes', 'a%0a%0d%00\\n\\u000ab', 'a%0a%0d%00\\n\\u000ab'],
  ['the end of a field and another', '" id=1 channel="b002', '" id=1 channel="b002'],
  ['the end of an object and another', '"}\\n{"status":500', '"}\\n{"status":500'],
  ['a variable of nginx', '$host ${host} $args', '$host ${host} $args'],
  ['markup', '<script>&amp;</script>', '<script>&amp;</script>'],
  [
    'a header',
    'a, X-Channel-ID: b002; Cache-Control: max-age=60',
    'a, X-Channel-ID: b002; Cache-Control: max-age=60',
  ],
  ['tabs', 'a\tb', 'a?b'],
  ['Cyrillic', bytes('Иван "Петров" \\'), 'Иван "Петров" \\'],
  ['line separators of Unicode', bytes('a\u2028b\u0085c'), 'a\u2028b\u0085c'],
  ['bytes that are no text', HIGH, Buffer.from(HIGH, 'latin1').toString('utf8')],
  ['12 KB', 'x'.repeat(12_000), 'x'.repeat(255)],
  ['12 KB of Cyrillic', bytes('Я'.repeat(6_000)), 'Я'.repeat(127)],
  ['12 KB of quotes', '"'.repeat(12_000), '"'.repeat(255)],
]

// Not HTTP: as good as no answer.
const BROKEN: readonly (readonly [name: string, sent: string])[] = [
  ['64 KB', 'x'.repeat(65_536)],
  ['a line feed', 'a\nb'],
  ['a line feed and a header', 'a\nX-Accel-Redirect: /x'],
  ['a carriage return', 'a\rb'],
  ['a NUL', 'a\0b'],
  ['an escape of a terminal', 'a\x1b[2Jb'],
]

interface Line {
  readonly status: number
  readonly auth: string
  readonly name: string
  readonly channel: string
}

const FORMATS: readonly (readonly [format: string, parse: (line: string) => Line])[] = [
  [
    'hls',
    (line) => {
      const text = '"((?:[^"\\\\]|\\\\.)*)"'
      const [, status, auth, name, channel] = new RegExp(
        `^\\S+ \\[\\S+\\] (\\d+) ${text.replace('(', '(?:')} \\d+ [\\d.]+ auth=${text} session=${text} id=\\w* channel=${text} ` +
          `host=127.0.0.1 referer="" agent="player/1.0"$`,
      ).exec(line)!
      const read = (value: string | undefined) => JSON.parse(`"${value}"`) as string
      return { status: Number(status), auth: read(auth), name: read(name), channel: read(channel) }
    },
  ],
  ['hls_json', (line) => JSON.parse(line) as Line],
]

describe.each(FORMATS)('names of a backend, in the format %s', (format, parse) => {
  let stack: Stack
  beforeAll(async () => {
    const changes = [['nginx.conf', 'access.log hls;', `access.log ${format};`]] as const
    stack = await startStack({ hasDemo: false, changes, env: { WHEN_BACKEND_DOWN: 'deny' } })
  })
  afterAll(() => stack.stop())

  /** One request, answered with a name, and the lines that both logs have of it. */
  async function named(name: string) {
    stack.middleware.answerViewersWith((request) => {
      const head = `HTTP/1.1 200 OK\r\nX-Session-Name: ${name}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`
      request.socket.end(head, 'latin1')
    })
    const [before, told] = [(await stack.nginx.accessLog()).length, stack.log.length]
    const reply = await view(stack.site, `/play/a001/index.m3u8?token=${before}`)
    const lines = (await stack.nginx.accessLog()).slice(before)
    expect(lines).toHaveLength(1)
    expect(stack.log).toHaveLength(told + 1)
    return { reply, line: parse(lines[0]!), decided: stack.log[told] }
  }

  it.each(NAMES)('%s: one line of the log, and no header but its own', async (_, sent, shown) => {
    const { reply, line, decided } = await named(sent)
    expect(reply.status).toBe(200)
    expect(reply.headers).not.toHaveProperty('x-session-name')
    expect(reply.headers['cache-control']).toBe('no-cache')
    expect(line).toMatchObject({ status: 200, auth: 'MISS 200', name: shown, channel: 'a001' })
    expect(decided).toMatchObject({ source: 'backend', name: shown.replace(/\p{C}/gu, '\uFFFD') })
  })

  it.each(BROKEN)('%s: no answer', async (_, sent) => {
    const { reply, line, decided } = await named(sent)
    expect(reply.status).toBe(403)
    expect(line).toMatchObject({ auth: 'MISS 403', name: '', channel: 'a001' })
    expect(decided).toMatchObject({ source: 'single-failure', backend: 'malformed', name: '' })
  })
})

// What nginx cannot read of an answer of the service's is an outage to it, and lets viewers in.
describe.each([200, 403])('an answer of %d', (status) => {
  it('fits what nginx reads of it, however long the name and the channel', async () => {
    const stack = await startStack({ hasDemo: false })
    stack.middleware.answerWith((_, response) => {
      response.writeHead(status, { 'X-Session-Name': '\xff'.repeat(12_000), 'Content-Length': 0 }).end()
    })
    // Up to all that the service judges, 2,048 bytes of a path; and beyond, to all that nginx takes of a line, 8 KB.
    for (const length of [255, 1_000, 2_000, 2_040, 2_046, 4_098, 7_002, 8_160]) {
      const answer = length > 2_040 ? 403 : status
      for (const channel of [
        'x'.repeat(length),
        '%D0%9A'.repeat(length / 6),
        '\xd0\x9a'.repeat(length / 2),
      ]) {
        const reply = await view(stack.site, `/play/${channel}/x`)
        const line = (await stack.nginx.accessLog()).at(-1)
        expect(line).toMatch(new RegExp(` auth="(MISS)? ${answer}" `))
        expect(reply.status).toBe(answer === 200 ? 404 : 403)
      }
    }
    await stack.stop()
  })
})
