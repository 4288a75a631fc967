import { describe, expect, it } from 'vitest'
import { readAddress } from '../../../service/check/address.js'
import { createEchoMask, describedQuery, maskedQuery } from '../../../service/check/mask.js'

describe('an address', () => {
  const plain = { host: 'tv.example.com', query: '', isEscaped: false, isCut: false }

  it.each([
    ['https://tv.example.com/play/a/x?token=1', { ...plain, path: '/play/a/x', query: 'token=1' }],
    ['HTTP://TV.Example.COM.:8080/x', { ...plain, path: '/x' }],
    ['http://user:word@tv.example.com/x', { ...plain, path: '/x' }],
    ['http://tv.example.com', { ...plain, path: '/' }],
    ['http://tv.example.com?token=1', { ...plain, path: '/', query: 'token=1' }],
    ['http://[2001:DB8::1]:81/x', { ...plain, host: '[2001:db8::1]', path: '/x' }],
    ['http://тв.example/x', { ...plain, host: 'xn--b1a5a.example', path: '/x' }],
    ['/x?a?b', { ...plain, host: 'localhost', path: '/x', query: 'a?b' }],
    [' /x\n', { ...plain, host: 'localhost', path: '/x' }],
    ['//tv/x', { ...plain, host: 'localhost', path: '//tv/x' }],
    // Byte for byte: a URL would change each of these.
    [
      'http://tv.example.com/a/../b%2f..%2F/./%61\\c?t=a+b%zz\'"<>|^`[]',
      { ...plain, path: '/a/../b%2f..%2F/./%61\\c', query: 't=a+b%zz\'"<>|^`[]' },
    ],
    [
      '/Канал?t=Я',
      {
        ...plain,
        host: 'localhost',
        path: '/%D0%9A%D0%B0%D0%BD%D0%B0%D0%BB',
        query: 't=%D0%AF',
        isEscaped: true,
      },
    ],
    ['/x?t=1#part', { ...plain, host: 'localhost', path: '/x', query: 't=1', isCut: true }],
  ])('%s is read as nginx would be asked for it', (given, expected) => {
    expect(readAddress(given)).toEqual(expected)
  })

  it.each([
    '',
    'tv.example.com/x?token=secret',
    'ftp://tv/x',
    'http:/x',
    'http:///x',
    'http://a b/x',
    'http://a\\b/x',
    '/x?token=secret word',
    '/x?token=secret\x01',
  ])('%j is none, and what is said does not quote it', (given) => {
    const read = readAddress(given)
    expect(read).toHaveProperty('problem')
    expect(JSON.stringify(read)).not.toContain('secret')
  })
})

describe('credentials are masked', () => {
  it.each([
    ['token=123', 'token=…', 'token=… (3 characters)'],
    ['token=1', 'token=…', 'token=… (1 character)'],
    ['token=1234567f&uid=42', 'token=1…f&uid=…', 'token=1…f (8 characters), uid=… (2 characters)'],
    ['token=', 'token=', 'token= (empty)'],
    ['bareword', 'b…d', 'b…d (8 characters)'],
    ['c2VjcmV0cw==', 'c…=', 'c…= (12 characters)'],
    ['c2VjcmV0cyE=', 'c…=', 'c…= (12 characters)'],
    [`${'n'.repeat(40)}=1`, 'n…1', 'n…1 (42 characters)'],
    ['se/cr+et=1', 's…1', 's…1 (10 characters)'],
    ['&token=a=b?c&', '&token=…&', 'token=… (5 characters)'],
  ])('%s', (query, inAddress, forReading) => {
    expect(maskedQuery(query)).toBe(inAddress)
    expect(describedQuery(query)).toBe(forReading)
  })

  it('where a backend repeats them, too, decoded or not', () => {
    const unecho = createEchoMask(['token=abc%2Fdefg&x=1'], 'pass%40word')
    expect(unecho('name abc/defg, abc%2Fdefg, pass@word, pass%40word, 1')).toBe('name a…g, a…g, p…d, p…d, 1')
  })
})
