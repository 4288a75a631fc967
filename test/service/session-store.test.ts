import fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import type { Session } from '../../service/session.js'
import { NO_ARCHIVE, type SessionArchive } from '../../service/archive/session-archive.js'
import { SessionStore } from '../../service/session-store.js'

let nowMs: number
let store: SessionStore

beforeEach(() => {
  nowMs = 0
  store = new SessionStore({
    idleMs: 1_000,
    denialMs: 1_000,
    maxSessions: 50,
    maxDenials: 100,
    now: () => nowMs,
    archive: NO_ARCHIVE,
  })
})

function open(key: string, viewerKey = 'viewer'): Session {
  const times = {
    openedAtMs: nowMs,
    lastSeenAtMs: nowMs,
    recheckAtMs: Infinity,
    archivedAtMs: nowMs,
    failedChecks: 0,
  }
  const session: Session = {
    key,
    viewerKey,
    id: key,
    path: '',
    query: '',
    name: '',
    source: 'backend',
    ...times,
  }
  store.open(session)
  return session
}

describe('sessions', () => {
  it('are found by key, and the newest by viewer', () => {
    const first = open('1')
    const second = open('2')
    expect(store.session('1')).toBe(first)
    expect(store.newestSession('viewer')).toBe(second)
    store.close(second, 'refused')
    expect(store.newestSession('viewer')).toBe(first)
    expect(store.newestSession('other')).toBeUndefined()
  })

  it('are replaced by one of the same key', () => {
    open('1')
    const again = open('1')
    expect(store.sessionCount).toBe(1)
    store.close(again, 'refused')
    expect(store.newestSession('viewer')).toBeUndefined()
  })

  it('that a viewer left are forgotten, one by one, in the order of their last request', () => {
    for (const key of ['1', '2', '3']) open(key)
    nowMs = 900
    store.session('1')
    nowMs = 1_500
    store.sweep(100)
    expect(store.sessionCount).toBe(1)
    expect(store.newestSession('viewer')?.key).toBe('1')
  })

  it('newest idle does not hide an older one that is watched', () => {
    open('1')
    open('2')
    nowMs = 900
    store.session('1')
    nowMs = 1_500
    expect(store.newestSession('viewer')?.key).toBe('1')
  })
})

describe('a full store', () => {
  it('forgets whom it has not seen for longest, and nobody who watches', () => {
    const watched = open('watched', 'somebody')
    for (let count = 0; count < 10_000; count++) {
      open(String(count), `viewer ${count % 7}`)
      expect(store.session('watched')).toBe(watched)
    }
    expect(store.sessionCount).toBe(50)
    expect(store.session('9999')).toBeDefined()
    expect(store.session('9951')).toBeDefined()
    expect(store.session('9950')).toBeUndefined()
    expect(store.newestSession('viewer 3')?.key).toBe(String(9_999 - ((9_999 - 3) % 7)))
  })

  it('gives back all that it held, whatever the order of opening, use and closing', () => {
    const order = fc.array(
      fc.tuple(fc.constantFrom('open', 'see', 'close', 'newest'), fc.nat(9), fc.nat(2)),
      {
        maxLength: 60,
      },
    )
    fc.assert(
      fc.property(order, (steps) => {
        store = new SessionStore({
          idleMs: 1_000,
          denialMs: 1_000,
          maxSessions: 5,
          maxDenials: 100,
          now: () => nowMs,
          archive: NO_ARCHIVE,
        })
        // What it should be: keys by last use, and by viewer in the order of opening.
        let model: Session[] = []
        let opened: Session[] = []
        for (const [what, key, viewer] of steps) {
          const session = model.find((one) => one.key === String(key))
          const used = (one: Session) => (model = [...model.filter((other) => other !== one), one])
          if (what === 'open') {
            const fresh = open(String(key), String(viewer))
            model = [...model.filter((one) => one.key !== String(key)), fresh].slice(-5)
            opened = [...opened, fresh]
          } else if (what === 'see') {
            expect(store.session(String(key))).toBe(session)
            if (session) used(session)
          } else if (what === 'close') {
            if (session) store.close(session, 'refused')
            model = model.filter((one) => one !== session)
          } else {
            const newest = opened.findLast((one) => one.viewerKey === String(viewer) && model.includes(one))
            expect(store.newestSession(String(viewer))).toBe(newest)
            if (newest) used(newest)
          }
          expect(store.sessionCount).toBe(model.length)
        }
      }),
      { numRuns: 2_000 },
    )
  })
})

const LIMITS = { idleMs: 1_000, denialMs: 1_000, maxDenials: 100 }

describe('memory', () => {
  it('is given to fewer sessions where their texts are long, of which viewers choose a part', () => {
    store = new SessionStore({
      idleMs: 1_000,
      denialMs: 1_000,
      maxSessions: 10,
      maxDenials: 100,
      now: () => nowMs,
      archive: NO_ARCHIVE,
    })
    for (const key of ['1', '2', '3', '4', '5']) open(key)
    open('x'.repeat(1_500))
    open('y'.repeat(1_500))
    expect(store.sessionCount).toBe(6)
    open('z'.repeat(1_500))
    expect(['1', '2', '3', '4', '5'].filter((key) => store.session(key))).toEqual(['5'])
  })

  it('is not taken from those that are watched by one who opens many with long texts', () => {
    store = new SessionStore({ ...LIMITS, maxSessions: 100, now: () => nowMs, archive: NO_ARCHIVE })
    for (let viewer = 0; viewer < 50; viewer++) open(String(viewer))
    for (let count = 0; count < 500; count++) open(String(count).repeat(3_000))
    expect(Array.from({ length: 50 }, (_, viewer) => store.session(String(viewer)))).not.toContain(undefined)
    for (let viewer = 50; viewer < 100; viewer++) open(String(viewer))
    expect([store.sessionCount, store.session('0')?.key]).toEqual([100, '0'])
    // It may be alone.
    store = new SessionStore({ ...LIMITS, maxSessions: 1, now: () => nowMs, archive: NO_ARCHIVE })
    open('x'.repeat(100_000))
    open('y'.repeat(100_000))
    expect([store.sessionCount, store.session('y'.repeat(100_000))?.key.length]).toEqual([1, 100_000])
    nowMs = 5_000
    store.sweep(10)
    expect(store.sessionCount).toBe(0)
  })
})

describe('the archive', () => {
  it('gives sessions back in the order of their last requests, and a viewer has the one that he opened last', () => {
    const later = open('1')
    const sooner = open('2')
    store = new SessionStore({
      idleMs: 1_000,
      denialMs: 1_000,
      maxSessions: 3,
      maxDenials: 100,
      now: () => nowMs,
      archive: NO_ARCHIVE,
    })
    const [a, b, c] = [
      { ...later, key: 'a', openedAtMs: 20 },
      { ...sooner, key: 'b', openedAtMs: 30 },
      { ...sooner, key: 'c', openedAtMs: 10 },
    ]
    for (const session of [a, b, c]) store.restore(session)
    expect(store.sessionsOf(a.viewerKey).map(({ key }) => key)).toEqual(['b', 'a', 'c'])
    expect(store.newestSession(a.viewerKey)).toBe(b)
    store.close(b, 'refused')
    expect(store.newestSession(a.viewerKey)).toBe(a)
    // Full: the one seen longest ago goes.
    for (const key of ['3', '4']) open(key, 'another viewer')
    expect([store.session('c'), store.session('a')]).toEqual([undefined, a])
  })

  it("gives another service's session to the one that is asked, which keeps it from then on", () => {
    const first = open('1')
    const calls: string[] = []
    const archive: SessionArchive = {
      ...NO_ARCHIVE,
      put: ({ key }) => calls.push(`put ${key}`),
      release: ({ key }, why) => {
        calls.push(`release ${key}, ${why}`)
        return key !== '4'
      },
      find: (key) => (key === '1' ? first : undefined),
      findNewest: () => ({ ...first, key: '2' }),
    }
    const closed: string[] = []
    const onClosed = ({ key }: Session, reason: string) => closed.push(`${key} ${reason}`)
    const limits = { idleMs: 1_000, denialMs: 1_000, maxSessions: 2, maxDenials: 100 }
    store = new SessionStore({ ...limits, now: () => nowMs, archive, onClosed })
    expect(store.session('1')).toBeUndefined()
    expect(store.recall('3')).toBeUndefined()
    expect(store.recall('1')).toBe(first)
    expect(store.session('1')).toBe(first)
    expect(store.recallNewest('viewer')?.key).toBe('2')
    expect(store.newestSession('viewer')?.key).toBe('2')
    expect(calls.splice(0)).toEqual(['put 1', 'put 2'])
    expect(store.close(first, 'refused')).toBe('refused')
    expect(store.close(first, 'refused')).toBeUndefined()
    open('3')
    open('4')
    nowMs = 5_000
    store.sweep(10)
    expect(calls.filter((call) => !call.startsWith('put'))).toEqual([
      'release 1, refused',
      'release 2, forgotten',
      'release 3, forgotten',
      'release 4, forgotten',
    ])
    expect(closed).toEqual(['1 refused', '2 full', '3 idle', '4 moved'])
  })
})

describe('denials', () => {
  const denial = (freshUntilMs = 0) => ({ refusal: 403 as const, freshUntilMs })

  it('are forgotten when a session of the same key opens', () => {
    store.deny('1', denial())
    open('1')
    expect(store.denial('1')).toBeUndefined()
  })

  it('are bounded, keep the youngest, and never push out a session', () => {
    const session = open('watched')
    for (let count = 0; count < 10_000; count++) store.deny(`bad ${count}`, denial())
    expect(store.denial('bad 9999')).toBeDefined()
    expect(store.denial('bad 9951')).toBeDefined()
    expect(store.denial('bad 9800')).toBeUndefined()
    expect(store.session('watched')).toBe(session)
  })

  it('are kept for at least the idle time, and not for ever', () => {
    store.deny('1', denial())
    nowMs = 1_001
    expect(store.denial('1')).toBeDefined()
    nowMs = 5_000
    store.sweep(100)
    nowMs = 7_000
    expect(store.denial('1')).toBeUndefined()
  })
})
