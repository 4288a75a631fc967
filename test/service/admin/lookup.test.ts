import { describe, expect, it } from 'vitest'
import { createAdminApp } from '../../../service/admin/admin-app.js'
import { Rounds } from '../../../service/admin/census.js'
import { SessionLookup } from '../../../service/admin/session-lookup.js'
import type { Session } from '../../../service/session.js'
import type { SessionStore } from '../../../service/session-store.js'

/** Sessions 0, 1, 2 …, and how many passes were made through them. */
function audience(count: number) {
  const sessions = Array.from({ length: count }, (_, number) => ({
    id: String(number),
    key: '0,0,0,0 ',
    name: '',
    openedAtMs: 0,
    lastSeenAtMs: 0,
    recheckAtMs: Infinity,
  })) as Session[]
  let passes = 0
  const parts = () => {
    passes++
    return [sessions]
  }
  const rounds = new Rounds({ parts } as unknown as SessionStore, () => 0)
  return { sessions, rounds, passes: () => passes }
}

const numbers = (count: number) => Array.from({ length: count }, (_, number) => number)

describe('whoever looks a session up', () => {
  it('shares a pass with all who do before it begins, and finds his own', async () => {
    const { rounds, passes } = audience(3_000)
    const lookup = new SessionLookup(rounds)
    const found = await Promise.all(['7', '2999', '7', 'nobody'].map((id) => lookup.find(id)))
    expect(found.map((session) => session?.id)).toEqual(['7', '2999', '7', undefined])
    expect(passes()).toBe(1)
  })

  it('while a pass is under way finds also who was seen before', async () => {
    const { sessions, rounds, passes } = audience(3_000)
    const lookup = new SessionLookup(rounds)
    let late: Promise<Session | undefined> | undefined
    // Asks in the middle of the pass.
    Object.defineProperty(sessions[1_500], 'id', {
      get() {
        late ??= lookup.find('0')
        return '1500'
      },
    })
    expect((await lookup.find('2999'))?.id).toBe('2999')
    expect((await late)?.id).toBe('0')
    expect(passes()).toBe(2)
  })

  it('finds nobody among none, and the first who comes then', async () => {
    const { sessions, rounds } = audience(0)
    const lookup = new SessionLookup(rounds)
    expect(await lookup.find('0')).toBeUndefined()
    sessions.push(...audience(1).sessions)
    expect((await lookup.find('0'))?.id).toBe('0')
  })
})

function admin({ rounds }: ReturnType<typeof audience>) {
  const closed: string[] = []
  const close = ({ id }: Session) => {
    closed.push(id)
    return id !== '5'
  }
  const app = createAdminApp({
    token: undefined,
    moment: () => ({ nowMs: 0, wallMs: 0 }),
    rounds,
    status: () => ({}),
    close,
    blocks: () => [],
    lift: () => false,
    metrics: () => Promise.reject(new Error()),
    page: new Map(),
    onError(error) {
      throw error
    },
  })
  const ask = async (path: string, method = 'GET') =>
    (await app.request(`http://localhost${path}`, { method, headers: { host: 'localhost' } })).status
  return { ask, closed }
}

describe('the admin interface', () => {
  it('serves its page while many look sessions up', async () => {
    const all = audience(3_000)
    const { ask } = admin(all)
    const lookups = numbers(60).map((number) => ask(`/sessions/${number % 2 ? number : 'nobody'}`))
    const page = ask('/sessions')
    expect(await Promise.all(lookups)).toEqual(numbers(60).map((number) => (number % 2 ? 200 : 404)))
    expect(await page).toBe(200)
    expect(all.passes()).toBeLessThanOrEqual(3)
  })

  it('closes each of many sessions once, and says so where another service has it', async () => {
    const { ask, closed } = admin(audience(300))
    const asked = ['4', '100', '299', 'nobody', '5'].map((id) => ask(`/sessions/${id}`, 'DELETE'))
    expect(await Promise.all(asked)).toEqual([200, 200, 200, 404, 409])
    expect(closed.toSorted()).toEqual(['100', '299', '4', '5'])
    expect(await ask('/sessions/5?block=10m', 'DELETE')).toBe(200)
  })
})
