import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseAccessRequest } from '../../service/access-request.js'
import { ChannelPattern } from '../../service/channel-pattern.js'
import { channelOf, decodeCanonicalPath, loggedChannel } from '../../service/channel.js'
import { judge } from '../../service/decision.js'
import { formatDuration, parseDuration } from '../../service/duration.js'
import { textFromHeader, safeName } from '../../service/header-text.js'
import { replyTo } from '../../service/reply.js'
import {
  credentialsIn,
  partsOf,
  recheckAfterMs,
  retryAfterMs,
  sessionKeyOf,
  viewerKeyOf,
  type Session,
  type SessionParts,
} from '../../service/session.js'

describe('a path in normal form', () => {
  it.each([
    ['/play/a001/index.m3u8', '/play/a001/index.m3u8'],
    ['/play/a001/', '/play/a001/'],
    ["/play/a-_.~!$&'()*+,;=:@/x", "/play/a-_.~!$&'()*+,;=:@/x"],
    ['/play/a..b/...', '/play/a..b/...'],
    ['/play/with%20space', '/play/with space'],
    ['/play/%D0%9A%d0%b0', '/play/Ка'],
    ['/play/\xd0\x9a', '/play/К'],
    ['/play/%252e%252e/x', '/play/%2e%2e/x'],
    ['/play/100%25', '/play/100%'],
    ['/play/%3Bx%3f', '/play/;x?'],
    ['/play/"<>{}|^`[]', '/play/"<>{}|^`[]'],
    // Joiners, of Persian and of emoji, and a mark that Hebrew needs beside digits.
    ['/play/%D9%85%DB%8C%E2%80%8C%D8%B4%D9%88%D8%AF/x', '/play/می\u200cشود/x'],
    ['/play/%F0%9F%91%A8%E2%80%8D%F0%9F%91%A9/x', '/play/👨\u200d👩/x'],
    ['/play/%D7%A2%E2%80%8F1/x', '/play/ע\u200f1/x'],
  ])('%s is read as %s', (path, decoded) => {
    expect(decodeCanonicalPath(path)).toBe(decoded)
  })

  it.each([
    '',
    '*',
    'play/a',
    '//play/a',
    '/play//a',
    '/play/a//',
    '/play/./a',
    '/play/../a',
    '/play/a/.',
    '/play/a/..',
    '/play/%2e/a',
    '/play/%2E%2e/a',
    '/play/.%2e/a',
    '/play/a%2fb',
    '/play/a%2Fb',
    '/play/a%5cb',
    '/play/a\\b',
    '/play/a#b',
    '/play/a?b',
    '/play/%00',
    '/play/%0a',
    '/play/%1F',
    '/play/%7f',
    '/play/a\x01b',
    '/play/a\x7fb',
    '/play/a b',
    '/play/%61',
    '/play/%41',
    '/play/%7A',
    '/play/%30',
    '/play/%5f',
    '/play/%7e',
    '/play/%2d',
    '/play/%',
    '/play/%4',
    '/play/%zz',
    '/play/%ff',
    '/play/\xff',
    '/play/%c0%ae',
    '/play/%ed%a0%80',
    '/play/%d0',
    '/play/%d0\x20',
    ...[0x9b, 0x202a, 0x202e, 0x2066, 0x2069].map(
      (code) => `/play/a${encodeURIComponent(String.fromCharCode(code))}001/x`,
    ),
  ])('is not %j', (path) => {
    expect(decodeCanonicalPath(path)).toBeUndefined()
  })

  it('is of 2,048 bytes at most, as the viewer sent it', () => {
    const ofBytes = (count: number) => `/play/${'%D1%8F'.repeat(340)}${'a'.repeat(count - 2_046)}`
    expect(decodeCanonicalPath(ofBytes(2_048))).toBe(`/play/${'я'.repeat(340)}aa`)
    expect(decodeCanonicalPath(ofBytes(2_049))).toBeUndefined()
    expect(decodeCanonicalPath(`/${'a'.repeat(2_048)}`)).toBeUndefined()
  })

  it('is one that nginx does not change: no two escapings but of case and of reserved characters', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary-ascii', maxLength: 20 }), (tail) => {
        const decoded = decodeCanonicalPath(`/play/${tail}`)
        if (decoded === undefined) return
        const segments = decoded.split('/')
        expect(segments.some((segment) => segment === '.' || segment === '..')).toBe(false)
        expect(decoded).not.toMatch(/\/\/|\\|\p{Cc}/u)
      }),
      { numRuns: 5_000 },
    )
  })

  it.each([
    ['/play/a001/x', '^/play/([^/]+)/', { id: 'a001', isWholeFolder: true }],
    ['/play/x', '^/play/([^/]+)/', undefined],
    ['/vod/7/x', '^/live/(\\w+)/|^/vod/(\\d+)/', { id: '7', isWholeFolder: true }],
    ['/hls/a-12.ts', '^/hls/(\\w+)', { id: 'a', isWholeFolder: false }],
    ['/play/a/b/x', '^/(live|play)/(?<channel>[^/]+)/', { id: 'a', isWholeFolder: true }],
    ['/play/a/b/x', '^/(?P<site>\\w+)/(?P<channel>.+)/', { id: 'a/b', isWholeFolder: true }],
    ['/vod/7/x', '^/play/(?<channel>\\w+)/|^/vod/(\\d+)/', undefined],
    ['/play//x', '^/play/([^/]*)/', undefined],
    ['/play/ a001 /x', '^/play/([^/]+)/', undefined],
  ])('%s belongs by %s to %j', (path, pattern, channel) => {
    expect(channelOf(path, new ChannelPattern(pattern))).toEqual(channel)
  })
})

describe('what nginx sends', () => {
  const headers = {
    'x-original-uri': '/p?a?b',
    'x-real-ip': '2001:db8::1',
    'x-real-host': 'tv',
    'x-real-ua': 'vlc',
  }

  it('is read', () => {
    const request = { host: 'tv', path: '/p', query: 'a?b', clientIp: '2001:db8::1', userAgent: 'vlc' }
    expect(parseAccessRequest(headers)).toEqual(request)
    expect(parseAccessRequest({ ...headers, 'x-real-ua': undefined })).toEqual({ ...request, userAgent: '' })
    expect(parseAccessRequest({ ...headers, 'x-original-uri': '/p?' })).toEqual({ ...request, query: '' })
  })

  it.each([{ 'x-original-uri': undefined }, { 'x-real-ip': undefined }, { 'x-real-ip': 'unix:' }])(
    'is not ours without %j',
    (change) => {
      expect(parseAccessRequest({ ...headers, ...change })).toBeUndefined()
    },
  )
})

describe('credentials', () => {
  it.each([
    ['token=a&x=1', undefined, 'token=a&x=1'],
    ['token=a&_HLS_msn=5&_HLS_part=1', undefined, 'token=a'],
    ['_HLS_msn=5', undefined, ''],
    ['', undefined, ''],
    ['x=1&token=a%20+b&y=2', ['token'], 'token=a%20+b'],
    ['token=b&token=a', ['token'], 'token=b&token=a'],
    ['%74oken=a', ['token'], '%74oken=a'],
    ['x=1', ['token'], ''],
    ['tokens=a', ['token'], ''],
    ['uid=1&token=2', ['token', 'uid'], 'uid=1&token=2'],
    ['%zz=1&token', ['token'], 'token'],
  ])('of %j by %j are %j', (query, params, credentials) => {
    expect(credentialsIn(query, params)).toBe(credentials)
  })
})

function partsIn(tuple: string[]): SessionParts {
  const [host, channelId, clientIp, userAgent, credentials] = tuple as [
    string,
    string,
    string,
    string,
    string,
  ]
  return { host, channelId, clientIp, userAgent, credentials }
}
const keyOf = (tuple: string[]) => sessionKeyOf(partsIn(tuple))

describe('a session key', () => {
  // One text cut in two ways: six pieces, of which two neighbours are joined by what could be a separator.
  const piece = fc.string({ unit: fc.constantFrom('a', '1', ',', ' ', '|'), maxLength: 3 })
  const pieces = fc.array(piece, { minLength: 6, maxLength: 6 })
  const joined = (all: string[], at: number, by: string) =>
    all.toSpliced(at, 2, `${all[at]}${by}${all[at + 1]}`)
  const at = fc.integer({ min: 0, max: 4 })

  const isInjective = (key: (tuple: string[]) => string) =>
    fc.check(
      fc.property(pieces, at, at, fc.constantFrom('', ' ', ',', '|'), (all, first, second, by) => {
        const [one, other] = [joined(all, first, by), joined(all, second, by)]
        return key(one) !== key(other) || JSON.stringify(one) === JSON.stringify(other)
      }),
      { numRuns: 20_000, seed: 1 },
    )

  it('is never shared by two that differ in host, channel, address, User-Agent or credentials', () => {
    expect(isInjective(keyOf).failed).toBe(false)
  })

  it('tells its parts again, and the key of the viewer', () => {
    fc.assert(
      fc.property(pieces, (all) => {
        const parts = partsIn(all)
        const key = sessionKeyOf(parts)
        expect(partsOf(key)).toEqual(parts)
        expect(viewerKeyOf(key, parts.credentials)).toBe(sessionKeyOf({ ...parts, credentials: '' }))
      }),
    )
  })

  it('(joined with a separator it would be)', () => {
    expect(isInjective((parts) => parts.join('|')).failed).toBe(true)
  })
})

it.each([
  ['a001', 'a001'],
  ['A&E', 'A&E'],
  ['R&B; live', 'R&B; live'],
  ['a001?token=secret', 'a001…'],
  ['a001#secret', 'a001…'],
  ['a001&token=secret', 'a001…'],
  ['a001;t=secret;u=1', 'a001…'],
  ['A&E&token=secret', 'A&E…'],
])('the channel %s is logged as %s', (id, logged) => {
  expect(loggedChannel(id)).toBe(logged)
})

describe('the rule of three outcomes', () => {
  const allow = { outcome: 'allow', status: 200, name: '', authDurationMs: undefined } as const
  const deny = { outcome: 'deny', status: 404 } as const
  const down = { outcome: 'unavailable', failure: 'dns', status: undefined, isBackendDown: true } as const
  const alone = { ...down, isBackendDown: false } as const

  it.each([
    [allow, undefined, 'deny', { allow: true, source: 'backend' }],
    [allow, 403, 'deny', { allow: true, source: 'backend' }],
    [deny, 'allow', 'allow', { allow: false, source: 'backend', refusal: 403 }],
    [
      { outcome: 'deny', status: 401 } as const,
      undefined,
      'allow',
      { allow: false, source: 'backend', refusal: 401 },
    ],
    [down, 'allow', 'deny', { allow: true, source: 'kept' }],
    [down, 401, 'allow', { allow: false, source: 'kept', refusal: 401 }],
    [down, undefined, 'allow', { allow: true, source: 'open-door' }],
    [down, undefined, 'deny', { allow: false, source: 'closed-door', refusal: 403 }],
    [down, 'undecided', 'deny', { allow: true, source: 'kept' }],
    [alone, 'allow', 'deny', { allow: true, source: 'kept' }],
    [alone, 401, 'allow', { allow: false, source: 'kept', refusal: 401 }],
    [alone, undefined, 'allow', { allow: false, source: 'single-failure', refusal: 403 }],
    [alone, 'undecided', 'allow', { allow: false, source: 'single-failure', refusal: 403 }],
  ] as const)('%j, known %s, door %s', (answer, known, door, verdict) => {
    expect(judge(answer, known, door)).toEqual(verdict)
  })
})

it.each([
  ['500ms', 500],
  ['3s', 3_000],
  ['10m', 600_000],
  ['1h30m', 5_400_000],
  ['1d', 86_400_000],
  ['7', 7_000],
  ['', undefined],
  ['-1s', undefined],
  ['1.5s', undefined],
  ['3 s', undefined],
  ['soon', undefined],
])('the duration %j is %s ms', (text, ms) => {
  expect(parseDuration(text)).toBe(ms)
})

it.each([0, 100, 1_500, 90_000, 3_600_000])('%d ms are written as they are read', (ms) => {
  expect(parseDuration(formatDuration(ms))).toBe(ms)
})

it.each([
  [undefined, 180_000, 180_000],
  [undefined, Infinity, Infinity],
  [1_000, Infinity, 10_000],
  [1e12, 180_000, 86_400_000],
])('a backend that says %s after a default of %s is asked again after %s ms', (said, fallback, ms) => {
  expect(recheckAfterMs(said, fallback)).toBe(ms)
})

describe('a reply', () => {
  const edge = { freshMs: 9_999, isStaleAllowed: true }
  const admission = {
    allowed: true,
    source: 'backend',
    sessionId: 'id',
    sessionName: 'name',
    channelId: 'Канал',
    edge,
  } as const
  const refusal = { allowed: false, source: 'backend', refusal: 401, channelId: undefined, edge } as const

  it('carries its length, so that nginx keeps the connection, and bytes that fit a header', () => {
    const { status, headers } = replyTo(admission)
    expect(status).toBe(200)
    expect(headers).toMatchObject({ 'Content-Length': '0', 'X-Session-Name': 'name', 'X-Session-ID': 'id' })
    expect(textFromHeader(headers['X-Channel-ID']!)).toBe('Канал')
  })

  it.each([
    // nginx adds up to a second: 9.999 s are never exceeded.
    [admission, 'max-age=4, stale-while-revalidate=4, stale-if-error=300'],
    [
      { ...admission, edge: { ...edge, freshMs: 60_000 } },
      'max-age=30, stale-while-revalidate=29, stale-if-error=300',
    ],
    [
      { ...admission, edge: { ...edge, freshMs: 3_000 } },
      'max-age=1, stale-while-revalidate=1, stale-if-error=300',
    ],
    [{ ...admission, edge: { ...edge, freshMs: 2_999 } }, 'max-age=1, stale-if-error=300'],
    [{ ...admission, edge: { ...edge, freshMs: 1_000 } }, 'max-age=1, stale-if-error=300'],
    [{ ...admission, edge: { freshMs: 2_000, isStaleAllowed: false } }, 'max-age=1'],
    [{ ...admission, edge: { freshMs: 1_999, isStaleAllowed: false } }, 'max-age=1'],
    [{ ...admission, edge: { ...edge, freshMs: 999 } }, 'no-store'],
    [{ ...admission, edge: { ...edge, freshMs: -5_000 } }, 'no-store'],
    [refusal, 'max-age=8, stale-if-error=300'],
    [{ ...refusal, edge: { ...edge, freshMs: 4_999 } }, 'max-age=3, stale-if-error=300'],
    [{ ...refusal, edge: { ...edge, freshMs: 0 } }, 'no-store'],
  ])('to %j may be repeated: %s', (decision, header) => {
    expect(replyTo(decision).headers['Cache-Control']).toBe(header)
  })
})

it('a name is cut between two characters, whatever their length', () => {
  for (const letter of ['x', 'Я', '語', '😀']) {
    for (const indent of ['', '1', '12', '123']) {
      const name = safeName(Buffer.from(indent + letter.repeat(300)).toString('latin1'))
      expect(name.length).toBeLessThanOrEqual(255)
      expect(name.length).toBeGreaterThan(251)
      expect(textFromHeader(name)).not.toContain('\uFFFD')
    }
  }
})

describe('a re-check that found the backend unavailable', () => {
  it.each([
    ['backend', 1, 0, 10_000],
    ['backend', 2, 0, 20_000],
    ['backend', 2, 0.5, 25_000],
    ['backend', 50, 0, 300_000],
    ['open-door', 1, 0, 1_000],
    ['open-door', 50, 0.5, 1_250],
  ] as const)(
    'of a session from the %s is tried again, after %d failures, in %d',
    (source, failedChecks, random, ms) => {
      expect(retryAfterMs({ source, failedChecks } as Session, random)).toBe(ms)
    },
  )
})
