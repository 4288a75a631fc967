import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sendRaw } from './client.js'
import { startStack, type Stack } from './stack.js'

const bytesFrom = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, at) => String.fromCharCode(first + at)).join('')

// Just below what nginx takes of a line: 8 KB.
const LONG = 8_100
const HIGH = bytesFrom(0x80, 0xff)
const CONTROL = bytesFrom(0x01, 0x1f).replaceAll(/[\n\r]/g, '')

/** The door is open for a backend that fails. This one is well, and refuses everybody. */
describe('with a backend that is well, nobody comes in by the open door', () => {
  let stack: Stack
  beforeAll(async () => {
    stack = await startStack({ env: { WHEN_BACKEND_DOWN: 'allow' }, hasDemo: false })
    stack.middleware.answerWith((_, response) => response.writeHead(403, { 'Content-Length': 0 }).end())
  })
  afterAll(() => stack.stop())

  const path = '/play/a001/index.m3u8'
  it.each<[string, string, Record<string, string>]>([
    ['a long query', `${path}?token=${'x'.repeat(LONG)}`, {}],
    ['a long path', `/play/a001/${'x'.repeat(LONG)}`, {}],
    ['a long path, all of it encoded', `/play/a001/${'%D0%9A'.repeat(LONG / 6)}`, {}],
    ['a long channel', `/play/${'x'.repeat(LONG)}/index.m3u8`, {}],
    ['a long channel, all of it encoded', `/play/${'%D0%9A'.repeat(LONG / 6)}/index.m3u8`, {}],
    ['a long User-Agent', path, { 'User-Agent': 'x'.repeat(LONG) }],
    ['a long Host', path, { Host: 'x'.repeat(LONG) }],
    [
      'everything long',
      `${path}?${'x'.repeat(LONG)}`,
      { Host: 'x'.repeat(LONG), 'User-Agent': 'x'.repeat(LONG) },
    ],
    [
      'everything long and odd',
      `${path}?${HIGH.repeat(60)}`,
      { Host: 'x'.repeat(LONG), 'User-Agent': HIGH.repeat(60) },
    ],
    ['high bytes', `/play/a001/${HIGH}?${HIGH}`, { 'User-Agent': HIGH, Host: HIGH }],
    ['control bytes in the User-Agent', path, { 'User-Agent': `a${CONTROL}b` }],
    ['control bytes in the Host', path, { Host: `a${CONTROL}b` }],
    ['control bytes in the target', `${path}?${CONTROL}`, {}],
    ['escaped control bytes', `${path}?${encodeURIComponent(CONTROL)}%00%0d%0aX-Real-IP:%201.2.3.4`, {}],
    ['a tab and a comma in the User-Agent', path, { 'User-Agent': 'a\tb, c' }],
    ['a User-Agent that looks like a header', path, { 'User-Agent': 'Transfer-Encoding: chunked' }],
    ['no User-Agent, no Host', path, { Host: '' }],
    ['every parameter twice', `${path}?token=a&token=b&&&=&token&%74oken=c`, {}],
    ['broken escapes', `${path}?%&%zz&%u1234&%`, {}],
  ])('%s', async (_, target, headers) => {
    const lines = Object.entries({ Host: 'x', ...headers }).map(([name, value]) => `${name}: ${value}\r\n`)
    const bytes = `GET ${target} HTTP/1.1\r\n${lines.join('')}Connection: close\r\n\r\n`
    // Three times, so that nginx's memory is asked too.
    for (let time = 0; time < 3; time++) {
      expect((await sendRaw(stack.site, bytes)).slice(0, 12)).toMatch(/^HTTP\/1\.1 (400|403|414)$/)
    }
    expect(stack.log.filter(({ level }) => level !== 30)).toEqual([])
    expect((await stack.nginx.accessLog()).join('\n')).not.toMatch(/ auth="[^"]*5\d\d/)
  })
})
