import { performance } from 'node:perf_hooks'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { RE2JS } from 're2js'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ChannelPattern } from '../../service/channel-pattern.js'

function problemOf(source: string): string {
  try {
    return `none with ${new ChannelPattern(source).source}`
  } catch (error) {
    return (error as Error).message
  }
}

describe('a pattern is refused with what to write instead', () => {
  const AHEAD = 'it does not look ahead or behind: write what may stand there, such as [^/]+'
  const BACK = 'it does not look back at a group: write what may stand there, such as [^/]+'
  const EXAMPLE = 'an example is ^/play/([^/]+)/'
  it.each([
    ['^/play/(?=a)([^/]+)/', `${AHEAD} (invalid or unsupported Perl syntax: \`(?=\`)`],
    ['^/play/(?!a)([^/]+)/', `${AHEAD} (invalid or unsupported Perl syntax: \`(?!\`)`],
    ['(?<=/play/)([^/]+)', `${AHEAD} (invalid named capture: \`(?<=/play/)([^/]+)\`)`],
    ['(?<!/)([^/]+)', `${AHEAD} (invalid named capture: \`(?<!/)([^/]+)\`)`],
    ['^/(.)\\1/', `${BACK} (invalid escape sequence: \`\\1\`)`],
    ['^/(?<a>.)\\k<a>/', `${BACK} (invalid escape sequence: \`\\k\`)`],
    [
      '^/(\\u043a+)',
      'it reads a character itself, or its number as in \\x{43a} (invalid escape sequence: `\\u`)',
    ],
    [
      '^/(\\p{Script=Greek}+)',
      'it knows short names of classes, such as \\p{L} or \\p{Cyrillic} (invalid character class range: `\\p{Script=Greek}`)',
    ],
    [
      '^/hls/(?<channel>.+)/|^/vod/(?<channel>.+)/',
      'it takes a name once: write (?<channel>…) around what differs, such as ^/(?:hls|vod)/(?<channel>[^/]+)/ (duplicate capture group name: `channel`)',
    ],
    ['^/play/([^/]+', `${EXAMPLE} (missing closing ): \`^/play/([^/]+\`)`],
    ['([^/]{1,2000})', `${EXAMPLE} (invalid repeat count: \`{1,2000}\`)`],
    ['(a)\\', `${EXAMPLE} (trailing backslash at end of expression)`],
  ])('%s: %s', (source, rest) => {
    expect(problemOf(source)).toBe(`must be a regular expression as RE2 reads it; ${rest}`)
  })

  it.each(['^/play/', '', '\\(a\\)', '[(]a[)]', '(?:a)', '(?i)a', '(?i:a)', '\\Q(a)\\E', '(a){0}'])(
    'where it has no group: %s',
    (source) => {
      expect(problemOf(source)).toBe(
        'must be a regular expression with a group for the channel, such as ^/play/([^/]+)/',
      )
    },
  )

  it.each([
    '^/(hls|play)/([^/]+)/',
    '^/(([^/]+)/)',
    '^/([^/]+)/(low|high)?/?',
    '^/(?:(a)|(b))+/',
    '(a)|b(c)(d)',
    '(a){2}(b)',
    '^/(?<site>[^/]+)/([^/]+)/',
    '^/(?P<site>[^/]+)/(?P<id>[^/]+)/',
    '(?i)^/(hls)/(?-i:(a))',
    '[(](a)\\((b)',
    '[]](a)[^](](b)',
    '\\Q(\\E(a)\\Q)\\E(b)',
  ])('where two groups can take part in a match: %s', (source) => {
    expect(problemOf(source)).toBe(
      'must have one group in a match, the channel: write (?:…) for what is not the channel, or (?<channel>…) for what is',
    )
  })
})

describe('a pattern finds the channel', () => {
  it.each([
    ['^/(?:hls|play)/([^/]+)/', '/hls/a/x', 'a'],
    ['^/hls/([^/]+)/|^/play/([^/]+)/', '/hls/a/', 'a'],
    ['^/hls/([^/]+)/|^/play/([^/]+)/', '/play/b/', 'b'],
    ['^/(?:hls/([^/]+)|play/(?:low|([^/]+)))/', '/play/c/', 'c'],
    ['^/(hls|play)/(?<channel>[^/]+)/', '/hls/a/', 'a'],
    ['^/(hls|play)/(?P<channel>[^/]+)/', '/hls/a/', 'a'],
    ['^/((?<channel>[^/]+)/.*)', '/a/b', 'a'],
    ['^/(?:([^/]+)/){2}', '/a/b/', 'b'],
    ['[(]([^)]+)\\)', '/(a)/', 'a'],
    ['\\Q(a\\E(.)', '/(ab', 'b'],
    ['(?i)^/PLAY/(?-i:([a-z]+))/', '/play/a/', 'a'],
    ['(a){0}(b)', 'ab', 'b'],
    ['^/(.+)$', '/a\u2028b', 'a\u2028b'],
    ['^/(\\p{Cyrillic}+)/', '/Канал/', 'Канал'],
    ['^/(.)/', '/😀/', '😀'],
    ['^/play/([^/]*)/', '/play//', ''],
    ['^/(a)?', '/', ''],
    ['^/(?<channel>a)?(b)', '/b', ''],
    ['^/play/([^/]+)/', '/vod/a/', undefined],
    ['^/([^/]+)$', '/a\n', 'a\n'],
    ['^/(a)$', '/a\n', undefined],
    ['^/(\\S+)', '/a\u00a0b', 'a\u00a0b'],
  ])('%s in %j: %j', (source, path, channel) => {
    expect(new ChannelPattern(source).channelIn(path)).toBe(channel)
  })

  it('that an expression of JavaScript finds', () => {
    const pieces = fc.constantFrom(
      '/',
      'play',
      'hls',
      'a',
      'b1',
      '-',
      '_',
      '.',
      'ts',
      '.m3u8',
      '7',
      'Я',
      '😀',
    )
    const paths = fc.array(pieces, { maxLength: 12 }).map((all) => `/${all.join('')}`)
    for (const source of [
      '^/play/([^/]+)/',
      '^/play/((?:[a-z0-9]+[-_]?)+)/',
      '/(.+)/.*\\.(?:ts|m3u8)$',
      '^/(?:hls|play)/(.+?)[-_.]',
      '^/play/(\\w+)/|^/hls/([^/]{2,3})|(\\p{L}\\d*)$',
      '([^/]+)/[^/]*$',
    ]) {
      const pattern = new ChannelPattern(source)
      const expression = new RegExp(source, 'u')
      fc.assert(
        fc.property(paths, (path) => {
          const groups = expression.exec(path)?.slice(1)
          expect(pattern.channelIn(path)).toBe(groups && (groups.find(Boolean) ?? ''))
        }),
        { numRuns: 2_000 },
      )
    }
  })
})

describe('what was found', () => {
  let reads = 0
  const exec = Object.getOwnPropertyDescriptor(RE2JS.prototype, 'exec')!
  beforeEach(() => {
    reads = 0
    const counting = function (this: RE2JS, ...path: unknown[]): unknown {
      reads++
      return Reflect.apply(exec.value as () => unknown, this, path)
    }
    Object.defineProperty(RE2JS.prototype, 'exec', { ...exec, value: counting })
  })
  afterEach(() => Object.defineProperty(RE2JS.prototype, 'exec', exec))
  const pattern = () => new ChannelPattern('^/play/([^/]+)/')

  it.each([
    ['/play/a/', 'a'],
    ['/vod/a/', undefined],
  ])('is remembered: %s', (path, channel) => {
    const one = pattern()
    for (let time = 0; time < 3; time++) expect(one.channelIn(path)).toBe(channel)
    expect(reads).toBe(1)
  })

  it('is remembered while it is asked for, however many others come, and none of those for long', () => {
    const one = pattern()
    for (let other = 0; other < 20_000; other++) {
      if (other % 1_000 === 0) expect(one.channelIn('/play/a/')).toBe('a')
      expect(one.channelIn(`/play/${other}/`)).toBe(String(other))
    }
    expect(reads).toBe(20_001)
    expect(one.channelIn('/play/11000/')).toBe('11000')
    expect(reads).toBe(20_002)
  })

  it('in a very long path is not', () => {
    const [one, name] = [pattern(), 'a'.repeat(200)]
    for (let time = 0; time < 2; time++) expect(one.channelIn(`/play/${name}/`)).toBe(name)
    expect(reads).toBe(2)
  })
})

describe('a path that would keep an expression of JavaScript busy for minutes', () => {
  const HOSTILE: [string, (length: number) => string][] = [
    ['/(.+)/.*\\.(?:ts|m3u8)$', (length) => `${'/a'.repeat(length / 2)}.ts/`],
    ['/(.+)/.*\\.(?:ts|m3u8)$', (length) => `${'/'.repeat(length)}.m3u8.`],
    ['^/play/((?:[a-z0-9]+[-_]?)+)/', (length) => `/play/${'a'.repeat(length)}`],
    ['^/play/((?:[a-z0-9]+[-_]?)+)/', (length) => `/play/${'a-'.repeat(length / 2)}!/`],
    ['^/((?:a|a)*)b', (length) => `/${'a'.repeat(length)}cb`],
    ['^/((?:a*)*)b', (length) => `/${'a'.repeat(length)}cb`],
    ['(\\w+)\\d+\\w+\\d+\\w+x', (length) => `${'1'.repeat(length)}-x`],
    ['^(.*.*.*)=[0-9]', (length) => `${'a'.repeat(length)}=a`],
    ['([^/]+|[^.]+)+\\.ts$', (length) => `/${'я'.repeat(length)}.ts.`],
  ]

  /** How much longer a pattern takes for one path than for another: the shortest of many tries, which nothing disturbed. */
  function ratioOf(pattern: ChannelPattern, one: string, other: string): number {
    const shortestMs = [Infinity, Infinity]
    for (let attempt = 0; attempt < 200; attempt++) {
      for (const [at, path] of [one, other].entries()) {
        const startedAt = performance.now()
        pattern.channelIn(path)
        shortestMs[at] = Math.min(shortestMs[at]!, performance.now() - startedAt)
      }
    }
    return shortestMs[0]! / shortestMs[1]!
  }

  it.each(HOSTILE)('takes %s a time that grows with its length: %#', (source, pathOf) => {
    const pattern = new ChannelPattern(source)
    // A match that does not come to an end is broken off, so that it fails here and does not hang.
    const measure = () => ratioOf(pattern, pathOf(2_048), pathOf(256))
    const ratio = runInNewContext('measure()', { measure }, { timeout: 20_000 }) as number
    // Eight times as long: 8 where it grows with the length, 64 where it grows with its square.
    expect(ratio).toBeLessThan(32)
  })
})
