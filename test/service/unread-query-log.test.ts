import { Writable } from 'node:stream'
import { pino } from 'pino'
import { beforeEach, describe, expect, it } from 'vitest'
import { createUnreadQueryLog, namesIn } from '../../service/unread-query-log.js'

let written: string
let nowMs: number

beforeEach(() => {
  written = ''
  nowMs = 0
})

function unreadQueryLog(credentialParams: readonly string[] | undefined) {
  const lines = new Writable({
    write(line: Buffer, _encoding, done) {
      written += line.toString()
      done()
    },
  })
  return createUnreadQueryLog({ credentialParams, log: pino({ base: null }, lines), now: () => nowMs })
}

const linesOf = () => written.split('\n').slice(0, -1)

describe('a query in which nothing is a credential', () => {
  it('is told with its names and the setting, once an hour', () => {
    const tell = unreadQueryLog(['tokn', 'uid'])
    tell('token=top-secret&x=1')
    tell('key=top-secret')
    nowMs = 3_599_999
    tell('key=top-secret')
    expect(linesOf().map((line) => JSON.parse(line) as unknown)).toEqual([
      {
        level: 40,
        time: expect.any(Number) as number,
        seen: ['token', 'x'],
        credentialParams: 'tokn,uid',
        msg: 'a query has none of CREDENTIAL_PARAMS: it counts as one without a token',
      },
    ])
    nowMs = 3_600_000
    tell('key=top-secret')
    expect(linesOf()).toHaveLength(2)
    expect(written).not.toContain('secret')
  })

  it('is not told where the operator has set no names, nor of what low-latency players add', () => {
    unreadQueryLog(undefined)('token=1')
    const tell = unreadQueryLog(['token'])
    tell('_HLS_msn=5&_HLS_part=1')
    tell('&')
    expect(written).toBe('')
    tell('_HLS_msn=5&key=1')
    expect(linesOf()).toHaveLength(1)
  })

  it.each([
    ['token=1&uid=2', ['token', 'uid']],
    ['a=1&a=2&&b=3', ['a', 'b']],
    ['a=1&b=2&c=3&d=4&e=5&f=6', ['a', 'b', 'c', 'd', 'e']],
    ['user[name]=1&x.y-z=2&_t=3', ['user[name]', 'x.y-z', '_t']],
    // What may be a token itself.
    ['secret', ['…']],
    ['secret=', ['…']],
    ['c2VjcmV0==', ['…']],
    ['c2VjcmV0IQ==&b=1', ['…', 'b']],
    ['=secret', ['…']],
    [`${'secret'.repeat(5)}=1`, ['…']],
    ['7secret=1', ['…']],
    ['se%63ret=1', ['…']],
    ['se\u0007cret=1', ['…']],
    ['secret?token=1', ['…']],
    ['secret;token=1', ['…']],
    ['a=secret;b=secret', ['a']],
    ['token==secret', ['token']],
  ])('%j shows as %j', (query, names) => {
    expect(namesIn(query)).toEqual(names)
  })
})
