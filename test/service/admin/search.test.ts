import { expect, it } from 'vitest'
import { refusalOf } from '../../../service/admin/guard.js'
import { Recent } from '../../../service/admin/recent.js'
import { parseSearch, SessionSearch, type Search } from '../../../service/admin/session-search.js'
import { viewOf } from '../../../service/admin/session-view.js'
import type { DecisionEvent } from '../../../service/questions.js'
import type { Decision } from '../../../service/decision.js'
import { sessionKeyOf, type Session } from '../../../service/session.js'

const TOKEN = 'a-token-of-sixteen'
const HERE = '127.0.0.1:9090'
const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`

it.each([
  ['without a token, from this machine', { host: HERE }, undefined, undefined],
  ['under its other names', { host: 'localhost:1' }, undefined, undefined],
  ['by IPv6', { host: '[::1]:9090' }, undefined, undefined],
  ['under a name that leads here (DNS rebinding)', { host: 'evil.example:9090' }, undefined, 403],
  ['under a name that looks like it', { host: '127.0.0.1.evil.example' }, undefined, 403],
  ['without a Host', {}, undefined, 403],
  ['from the page itself', { host: HERE, origin: `http://${HERE}` }, undefined, undefined],
  ['from a page of another site', { host: HERE, origin: 'http://evil.example' }, undefined, 403],
  [
    'by an image on another site',
    { host: HERE, fetchSite: 'cross-site', fetchDest: 'image' },
    undefined,
    403,
  ],
  [
    'by a frame of a page on another port',
    { host: HERE, fetchSite: 'same-site', fetchDest: 'iframe' },
    undefined,
    403,
  ],
  [
    'by a link on another site',
    { host: HERE, fetchSite: 'cross-site', fetchDest: 'document' },
    undefined,
    undefined,
  ],
  ['by its own page', { host: HERE, fetchSite: 'same-origin', fetchDest: 'empty' }, undefined, undefined],
  ['from a page without an origin', { host: HERE, origin: 'null' }, undefined, 403],
  ['without the token', { host: 'x' }, TOKEN, 401],
  ['with it', { host: 'x', authorization: `Bearer ${TOKEN}` }, TOKEN, undefined],
  ['with it as a password', { host: 'x', authorization: basic(`anybody:${TOKEN}`) }, TOKEN, undefined],
  ['with a part of it', { host: 'x', authorization: `Bearer ${TOKEN.slice(1)}` }, TOKEN, 401],
  ['with it as a user', { host: 'x', authorization: basic(`${TOKEN}:`) }, TOKEN, 401],
  ['with nothing', { host: 'x', authorization: 'Bearer ' }, TOKEN, 401],
  [
    'with it, from another site',
    { host: 'x', origin: 'http://y', authorization: `Bearer ${TOKEN}` },
    TOKEN,
    403,
  ],
])('the admin interface, asked %s', (_, request, token, refusal) => {
  const nothing = {
    authorization: undefined,
    host: undefined,
    origin: undefined,
    fetchSite: undefined,
    fetchDest: undefined,
  }
  expect(refusalOf({ ...nothing, ...request }, token)).toBe(refusal)
})

function session(number: number, changes: Partial<Session> = {}): Session {
  const key = sessionKeyOf({
    host: 'tv',
    channelId: `a${number % 3}`,
    clientIp: `192.0.2.${number}`,
    userAgent: 'vlc',
    credentials: 'token=secret',
  })
  return {
    key,
    viewerKey: key,
    id: String(number).padStart(3, '0'),
    path: '/secret',
    query: 'token=secret',
    name: `Viewer ${number}`,
    source: 'backend',
    openedAtMs: number,
    lastSeenAtMs: 100 - number,
    recheckAtMs: Infinity,
    failedChecks: 0,
    archivedAtMs: 0,
    ...changes,
  }
}

const all = Array.from({ length: 50 }, (_, number) => session(number))

function found(params: Record<string, string>, sessions = all) {
  const search = new SessionSearch(parseSearch(params) as Search)
  for (const one of sessions) search.visit(one)
  const { total, sessions: page } = search.result()
  return [total, page.map(({ id }) => Number(id)).join(' ')]
}

it('a page of sessions is found, filtered and sorted', () => {
  expect(found({ limit: '3' })).toEqual([50, '0 1 2'])
  expect(found({ limit: '3', offset: '48' })).toEqual([50, '48 49'])
  expect(found({ limit: '3', sort: 'uptime' })).toEqual([50, '49 48 47'])
  expect(found({ limit: '2', sort: '-uptime', offset: '2' })).toEqual([50, '2 3'])
  expect(found({ limit: '2', sort: '-name' })).toEqual([50, '9 8'])
  expect(found({ limit: '4', sort: 'channel_id' })).toEqual([50, '0 3 6 9'])
  expect(found({ channel: 'a1', limit: '2' })).toEqual([17, '1 4'])
  expect(found({ name: 'VIEWER 4', limit: '3' })).toEqual([11, '4 40 41'])
  expect(found({ ip: '192.0.2.7' })).toEqual([1, '7'])
  expect(found({ ip: '192.0.2.7', channel: 'a0' })).toEqual([0, ''])
  expect(found({ name: '' })[0]).toBe(50)
  const others = [session(1, { source: 'open-door' }), session(2, { failedChecks: 1 }), session(3)]
  expect(found({ source: 'open-door' }, others)).toEqual([1, '1'])
  expect(found({ source: 'remembered' }, others)).toEqual([1, '2'])
  expect(found({ source: 'backend' }, others)).toEqual([1, '3'])
  expect(found({ name: 'иван' }, [session(1, { name: Buffer.from('Иван').toString('latin1') })])).toEqual([
    1,
    '1',
  ])
})

it('a page among many is the same as if all were sorted', () => {
  const many = Array.from({ length: 1_000 }, (_, number) =>
    session(number, { name: `Viewer ${(number * 7_919) % 1_000}` }),
  )
  const ids = (order: (one: Session, other: Session) => number) =>
    many
      .toSorted(order)
      .slice(10, 15)
      .map(({ id }) => Number(id))
      .join(' ')
  const page = { limit: '5', offset: '10' }
  const up = ids((one, other) => (one.name < other.name ? -1 : 1))
  const down = ids((one, other) => (one.name < other.name ? 1 : -1))
  expect(found({ ...page, sort: 'name' }, many)).toEqual([1_000, up])
  expect(found({ ...page, sort: '-name' }, many)).toEqual([1_000, down])
})

it.each([
  [
    { sort: 'query' },
    'sort="query": must be one of last_seen, uptime, channel_id, name, addr, expires, with - in front for descending',
  ],
  [{ source: 'x' }, 'source="x": must be one of backend, remembered, open-door'],
  [{ limit: '0' }, 'limit="0": must be a whole number from 1 to 1000'],
  [{ limit: '1e3' }, 'limit="1e3": must be a whole number from 1 to 1000'],
  [{ offset: '9901' }, 'offset="9901": offset and limit together must not exceed 10000; use a filter'],
  [{ offset: '-1' }, 'offset="-1": offset and limit together must not exceed 10000; use a filter'],
  [{ chanel: 'a' }, 'chanel: is no parameter; there are channel, name, ip, source, sort, offset and limit'],
])('a search for %j is answered with one sentence', (params, sentence) => {
  expect(parseSearch(params)).toBe(sentence)
})

it('a session is told without its token and its path', () => {
  const view = viewOf(session(1, { recheckAtMs: 11_000 }), { nowMs: 5_001, wallMs: 1e12 })
  expect(view).toEqual({
    client_id: '001',
    channel_id: 'a1',
    addr: '192.0.2.1',
    uptime: 5,
    name: 'Viewer 1',
    host: 'tv',
    user_agent: 'vlc',
    last_seen: new Date(1e12 - 4_902).toISOString(),
    source: 'backend',
    expires: new Date(1e12 + 5_999).toISOString(),
  })
})

it('of what happened a minute is known, and five minutes of the latency', () => {
  let nowMs = 0
  const recent = new Recent(() => nowMs)
  const asked = (elapsedMs: number) =>
    recent.onDecision({ answer: { outcome: 'deny', status: 403 }, elapsedMs } as DecisionEvent)
  recent.onOpened()
  recent.onReply({ allowed: false } as Decision)
  recent.onReply({ allowed: true } as Decision)
  for (const ms of [10, 30, 20]) asked(ms)
  nowMs = 59_999
  recent.onReply({ allowed: false } as Decision)
  asked(40)
  expect(recent.lastMinute).toEqual({ admitted: 1, refused: 2 })
  expect(recent.latency).toEqual([20, ...Array.from({ length: 10 }, () => null), 40])
  nowMs = 60_000
  expect(recent.lastMinute).toEqual({ admitted: 0, refused: 1 })
  nowMs = 1e9
  expect(recent.lastMinute).toEqual({ admitted: 0, refused: 0 })
  expect(recent.latency).toEqual(Array.from({ length: 60 }, () => null))
})
