import { expect, it } from 'vitest'
import { Rounds } from '../../../service/admin/census.js'
import type { Session } from '../../../service/session.js'
import type { SessionStore } from '../../../service/session-store.js'

/** A store in which all sessions lie in one part. */
function rounds(count: number) {
  let nowMs = 0
  const sessions = Array.from(
    { length: count },
    (_, number) => ({ id: String(number), key: '0,0,0,0 ', lastSeenAtMs: 0 }) as Session,
  )
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
