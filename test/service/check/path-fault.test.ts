import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeCanonicalPath } from '../../../service/channel.js'
import { pathFaultOf, sentenceOf } from '../../../service/check/path-fault.js'

describe('a path that is not in normal form', () => {
  it.each([
    ['', 'no_leading_slash', ''],
    ['play/a', 'no_leading_slash', ''],
    ['*', 'no_leading_slash', ''],
    ['/', 'only_a_slash', '/'],
    ['/play/a\x01b', 'control_byte', '\x01'],
    ['/play/a\x7fb', 'control_byte', '\x7f'],
    ['/play/a b', 'space', ' '],
    ['/play/a\\b', 'backslash', '\\'],
    ['/play/a#b', 'number_sign', '#'],
    ['/play/a?b', 'question_mark', '?'],
    ['//play/a', 'doubled_slash', '//'],
    ['/play///a', 'doubled_slash', '///'],
    ['/play/a//', 'doubled_slash', '//'],
    ['/play/./a', 'dot_segment', '/.'],
    ['/play/../a', 'dot_segment', '/..'],
    ['/play/a/..', 'dot_segment', '/..'],
    ['/play/%', 'bad_escape', '%'],
    ['/play/%4', 'bad_escape', '%4'],
    ['/play/%zz9', 'bad_escape', '%zz'],
    ['/play/%/a', 'bad_escape', '%'],
    ['/play/%00', 'encoded_control_byte', '%00'],
    ['/play/%1F', 'encoded_control_byte', '%1F'],
    ['/play/%7f', 'encoded_control_byte', '%7f'],
    ['/play/%C2%9b31m', 'encoded_control_byte', '%C2%9b'],
    ['/play/\xc2\x9b31m', 'encoded_control_byte', '\xc2\x9b'],
    ['/play/\xc2%9b31m', 'encoded_control_byte', '\xc2%9b'],
    ['/play/a%E2%80%AE001/x', 'direction_character', '%E2%80%AE'],
    ['/play/%e2%80%aa', 'direction_character', '%e2%80%aa'],
    ['/play/\xe2%81\xa6/x', 'direction_character', '\xe2%81\xa6'],
    ['/play/a%2F..%2fb', 'encoded_slash', '%2F'],
    ['/play/a%5cb', 'encoded_backslash', '%5c'],
    ['/play/%2E%2e/a', 'encoded_plain_character', '%2E'],
    ['/play/%61', 'encoded_plain_character', '%61'],
    ['/play/%5f', 'encoded_plain_character', '%5f'],
    [`//${'a'.repeat(2_047)}`, 'too_long', ''],
    ['/play/\xff', 'not_utf8', ''],
    ['/play/%c0%ae', 'not_utf8', ''],
    ['/play/%ed%a0%80', 'not_utf8', ''],
  ])('%j is refused for its reason: %s, %j', (path, kind, found) => {
    expect(pathFaultOf(path)).toEqual({ kind, found })
  })

  it('each reason is a sentence with something to do', () => {
    for (const path of [
      '/play/%61',
      '/play/./a',
      '/play/%ff',
      '//a',
      '/a%2fb',
      '/%zz',
      '/%00',
      '/a b',
      '/%e2%80%ae',
    ]) {
      expect(sentenceOf(pathFaultOf(path)!)).toMatch(/^The path holds [^:]+: [a-z].*\.$/)
    }
    expect(sentenceOf(pathFaultOf('/play/%61')!)).toBe(
      'The path holds %61 for "a", which needs no escape and which players do not escape: write a.',
    )
  })

  it('whatever it looks like has a reason, and whatever is accepted has none', () => {
    const piece = fc.oneof(
      fc.constantFrom(
        '/',
        '//',
        '.',
        '..',
        '/.',
        '/..',
        '%',
        '%2',
        '%2f',
        '%2E',
        '%5c',
        '%41',
        '%d0',
        '%9a',
        '%20',
      ),
      fc.integer({ min: 0, max: 255 }).map((byte) => String.fromCharCode(byte)),
      fc.integer({ min: 0, max: 255 }).map((byte) => `%${byte.toString(16).padStart(2, '0')}`),
      fc.constantFrom('%e2', '\xe2', '%80', '\x81', '%AE', '%a6', '\xaa'),
      fc
        .constantFrom('a001', 'play', 'К', 'Я', '\u202e', '\u2069', '\u200d')
        .map((text) => Buffer.from(text).toString('latin1')),
    )
    const path = fc.array(piece, { maxLength: 8 }).map((pieces) => `/${pieces.join('')}`)
    fc.assert(
      fc.property(fc.oneof(path, fc.string({ unit: 'binary-ascii', maxLength: 8 })), (path) => {
        const fault = pathFaultOf(path)
        expect(fault === undefined).toBe(decodeCanonicalPath(path) !== undefined)
        // What no pattern names is not UTF-8 indeed, so that no reason is given in another's place.
        if (fault?.kind !== 'not_utf8') return
        const bytes = path.replace(/%(..)/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)))
        expect(Buffer.from(bytes, 'latin1').toString()).toContain('\uFFFD')
      }),
      { numRuns: 20_000 },
    )
  })
})
