import { expect, it } from 'vitest'
import { Rounds } from '../../../service/admin/census.js'
import { sessionKeyOf, type Session } from '../../../service/session.js'
import type { SessionStore } from '../../../service/session-store.js'

/** A store in which all sessions lie in one part. */
function rounds(count: number, channelOf: (number: number) => string = () => '') {
  let nowMs = 0
  const sessions = Array.from({ length: count }, (_, number) => {
    const channelId = channelOf(number)
    const key = sessionKeyOf({ host: '', channelId, clientIp: '', userAgent: '', credentials: '' })
    return { id: String(number), key, lastSeenAtMs: 0 } as Session
  })
  const store = { parts: () => [sessions] } as unknown as SessionStore
  return { rounds: new Rounds(store, () => nowMs), pass: (ms: number) => (nowMs += ms) }
}

/** Whatever else waits has its turn so often meanwhile. */
async function turnsDuring(work: Promise<unknown>): Promise<number> {
  let turns = 0
  const turn = () => {
    turns++
    waiting = setImmediate(turn)
  }
  let waiting = setImmediate(turn)
  await work
  clearImmediate(waiting)
  return turns
}

it('others have their turn during a pass, however the sessions lie', async () => {
  expect(await turnsDuring(rounds(100_000).rounds.each(() => {}))).toBeGreaterThan(100)
})

it('a pass for which nobody waits any more ends, and lets the next one begin', async () => {
  const { rounds: all } = rounds(100_000)
  const gone = new AbortController()
  let seen = 0
  const first = all.each(() => void seen++, gone.signal)
  const second = all.each(() => void seen++, gone.signal)
  const last = all.each(() => true)
  expect(all.waiting).toBe(3)
  await new Promise((resolve) => setImmediate(resolve))
  gone.abort()
  await Promise.all([first, second, last])
  expect(seen).toBeLessThan(5_000)
  expect(all.waiting).toBe(0)
})

it('a census is shared while it is taken, however long that lasts, and for a second', async () => {
  const { rounds: all, pass } = rounds(10)
  const first = all.census()
  pass(5_000)
  expect(all.census()).toBe(first)
  await first
  pass(1_000)
  expect(all.census()).toBe(first)
  pass(1)
  expect(all.census()).not.toBe(first)
})

it('ten thousand channels are counted exactly, and the most watched told', async () => {
  // Of channel n there are n sessions more than one, for the last thirty; they come among the others.
  const extra = Array.from({ length: 30 }, (_, n) => Array.from({ length: n }, () => `c${9_970 + n}`)).flat()
  const names = [...Array.from({ length: 10_000 }, (_, n) => `c${n}`), ...extra]
  const { sessions, channels } = await rounds(names.length, (number) => names[number]!).rounds.census()
  expect(sessions).toMatchObject({ open: names.length, watching: names.length })
  expect(channels).toEqual(
    Array.from({ length: 20 }, (_, rank) => ({ channel_id: `c${9_999 - rank}`, watching: 30 - rank })),
  )
})

it('however many channels viewers make up, those met first are counted', async () => {
  const names = (number: number) => (number % 2 ? `made up ${number}` : number < 60_000 ? 'news' : 'late')
  const { sessions, channels } = await rounds(100_000, names).rounds.census()
  expect(sessions.watching).toBe(100_000)
  expect(channels).toHaveLength(20)
  expect(channels[0]).toEqual({ channel_id: 'news', watching: 30_000 })
  expect(channels[1]).toMatchObject({ watching: 1 })
})
