import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Backend, Question } from '../../../../service/backends/backend.js'
import {
  GuardedBackend,
  type About,
  type GuardedAnswer,
  type GuardedBackendOptions,
} from '../../../../service/backends/guard/guarded-backend.js'
import type { Answer } from '../../../../service/decision.js'

const ALLOW: Answer = { outcome: 'allow', status: 200, name: '', authDurationMs: undefined }
const DENY: Answer = { outcome: 'deny', status: 403 }
const failing = (failure: 'refused' | 'timeout' | 'reset') =>
  ({ outcome: 'unavailable', failure, status: undefined }) as const
const failingWith = (status: number) => ({ outcome: 'unavailable', failure: 'status', status }) as const

interface Asked {
  readonly question: Question
  answer(answer: Answer, isReleased?: boolean): Promise<void>
  release(): Promise<void>
}

let asked: Asked[]
/** What the service's own questions are answered, and after how long. */
let own: { bare: Answer; witness: Answer; afterMs: number }
let ownAsked: string[]
let events: string[]
let learnt: string[]
let guard: GuardedBackend

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] })
  vi.setSystemTime(1_000_000)
  asked = []
  own = { bare: DENY, witness: DENY, afterMs: 5 }
  ownAsked = []
  events = []
  learnt = []
  guard = guardOf()
})
afterEach(() => vi.useRealTimers())

const settle = (ms = 0) => vi.advanceTimersByTimeAsync(ms)
const later = <T>(value: () => T) =>
  new Promise<T>((resolve) => setTimeout(() => resolve(value()), own.afterMs))

function guardOf(options: Partial<GuardedBackendOptions> = {}): GuardedBackend {
  const base = { credentialParams: ['token'], recheckMs: 180_000, close: async () => {} }
  const backend: Backend = {
    ...base,
    ask: (question, onReleased) =>
      new Promise((resolve) => {
        asked.push({
          question,
          async answer(answer, isReleased = true) {
            resolve(answer)
            if (isReleased) onReleased?.()
            await settle()
          },
          async release() {
            onReleased?.()
            await settle()
          },
        })
      }),
    askBare: () => Promise.reject(new Error('no viewer asks this')),
  }
  const ownBackend: Backend = {
    ...base,
    ask: ({ query }) => {
      ownAsked.push(query)
      return later(() => own.witness)
    },
    askBare: () => {
      ownAsked.push('bare')
      return later(() => own.bare)
    },
  }
  return new GuardedBackend({
    backend,
    ownBackend,
    timeoutMs: 3_000,
    slowMs: 1_000,
    isAskedAgain: true,
    mostQuestions: 64,
    learnt: 'decided',
    onLearnt: (text) => learnt.push(text),
    onDown: (cause) => events.push(`down: ${cause}`),
    onUp: () => events.push('up'),
    now: Date.now,
    random: () => 0,
    ...options,
  })
}

function question(clientIp: string, query = `token=${clientIp}`): Question {
  const path = '/play/a/x.m3u8'
  return { sessionId: query, channelId: 'a', clientIp, path, query, userAgent: 'mpv', host: 'tv' }
}

function ask(clientIp: string, about: About = 'newcomer', query?: string): { answer?: GuardedAnswer } {
  const told: { answer?: GuardedAnswer } = {}
  void guard.ask(question(clientIp, query), about).then((answer) => Object.assign(told, { answer }))
  return told
}

/** The backend admits somebody at each of these addresses. */
async function admit(...clientIps: string[]): Promise<void> {
  for (const clientIp of clientIps) {
    ask(clientIp)
    await settle()
    await asked.at(-1)!.answer(ALLOW)
    // What is asked by the way, to know what the bare address answers.
    await settle(own.afterMs)
  }
  ownAsked = []
}

const HONEST = ['192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.4', '192.0.2.5']
const THIEF = '198.51.100.1'

describe('a question that fails', () => {
  it.each([failingWith(500), failingWith(503), failingWith(429), failing('reset'), failing('timeout')])(
    'is its own where the backend answers others: %j',
    async (answer) => {
      await admit(...HONEST)
      const told = ask(THIEF)
      await settle()
      await asked.at(-1)!.answer(answer)
      await settle(own.afterMs)
      expect(told.answer).toEqual({ ...answer, isBackendDown: false })
      expect(guard.isDown).toBe(false)
      // The bare address, and sessions of other networks than his.
      expect(ownAsked).toHaveLength(4)
      expect(ownAsked[0]).toBe('bare')
      expect(new Set(ownAsked).size).toBe(4)
    },
  )

  it('is no reason to ask his own sessions, as long as there are others', async () => {
    await admit('192.0.2.1', THIEF)
    ask(THIEF, 'newcomer', 'token=broken')
    await settle()
    await asked.at(-1)!.answer(failingWith(500))
    expect(ownAsked.slice(0, 2)).toEqual(['bare', 'token=192.0.2.1'])
  })

  it('opens nothing however often it fails, from however many networks', async () => {
    await admit(...HONEST)
    for (let viewer = 0; viewer < 300; viewer++) {
      const told = ask(`198.51.100.${viewer % 250}`)
      await settle()
      await asked.at(-1)!.answer(failingWith(500))
      await settle(1_000)
      expect(told.answer).toMatchObject({ isBackendDown: false })
    }
    expect(events).toEqual([])
  })

  it('is the backend’s where the service’s own questions fail, too, and then nobody is asked about', async () => {
    await admit(...HONEST)
    own = { bare: failing('refused'), witness: failing('refused'), afterMs: 5 }
    const told = ask(THIEF)
    await settle()
    await asked.at(-1)!.answer(failing('refused'))
    await settle(own.afterMs)
    expect(told.answer).toEqual({ ...failing('refused'), isBackendDown: true })
    expect(events).toEqual(['down: refused'])
    const before = asked.length
    expect(await guard.ask(question('192.0.2.9'), 'newcomer')).toMatchObject({
      failure: 'breaker',
      isBackendDown: true,
    })
    expect(asked).toHaveLength(before)
    own = { bare: DENY, witness: DENY, afterMs: 5 }
    await settle(2_000)
    expect(events).toEqual(['down: refused', 'up'])
  })

  it('by a time-out is known for the backend’s within a second of its deadline', async () => {
    await admit(...HONEST)
    own = { bare: failing('timeout'), witness: failing('timeout'), afterMs: 2_250 }
    const told = ask('192.0.2.9')
    const beganAtMs = Date.now()
    await settle(3_000)
    await asked.at(-1)!.answer(failing('timeout'), false)
    while (told.answer === undefined) await settle(10)
    expect(told.answer).toMatchObject({ isBackendDown: true })
    expect(Date.now() - beganAtMs).toBeLessThanOrEqual(4_000)
  })

  it('is his own where a script fails without a query and for nobody else', async () => {
    guard = guardOf({ learnt: undefined })
    own.bare = failingWith(500)
    for (const clientIp of HONEST) {
      ask(clientIp)
      await settle()
      await asked.at(-1)!.answer(DENY)
      await settle(1_000)
    }
    expect(learnt.at(-1)).toBe('never 500')
    const told = ask(THIEF)
    await settle()
    await asked.at(-1)!.answer(failingWith(500))
    await settle(2_000)
    expect(told.answer).toMatchObject({ isBackendDown: false })
  })
})

describe('where tokens work once', () => {
  beforeEach(() => (guard = guardOf({ isAskedAgain: false })))

  it('nobody is asked about again: the bare address alone tells', async () => {
    await admit(...HONEST)
    const told = ask(THIEF)
    await settle()
    await asked.at(-1)!.answer(failingWith(500))
    await settle(own.afterMs)
    expect([ownAsked, told.answer]).toEqual([['bare'], { ...failingWith(500), isBackendDown: false }])
  })

  it('somebody is tried once a second while it is down', async () => {
    await admit(...HONEST)
    own.bare = failing('refused')
    ask(THIEF)
    await settle()
    await asked.at(-1)!.answer(failing('refused'))
    await settle(own.afterMs)
    expect([guard.isDown, guard.mayTry()]).toEqual([true, true])
  })
})

describe('places', () => {
  it('are a quarter for whom nobody knows, and others for known networks and for sessions', async () => {
    await admit(...HONEST)
    const before = asked.length
    for (let viewer = 0; viewer < 20; viewer++) ask(`198.51.100.${viewer}`)
    await settle()
    expect(asked.length - before).toBe(2)
    for (const clientIp of HONEST) ask(clientIp, 'newcomer', 'token=zap')
    await settle()
    expect(asked.length - before).toBe(5)
    expect([guard.hasCapacity('192.0.2.1', 'session'), guard.isFull('undecided')]).toEqual([true, false])
    for (const clientIp of HONEST.slice(0, 2)) ask(clientIp, 'session')
    ask('198.51.100.1', 'undecided')
    await settle()
    expect(asked.length - before).toBe(8)
    expect([guard.hasCapacity('192.0.2.9', 'session'), guard.isFull('undecided')]).toEqual([false, true])
  })

  it('grow with admissions and not with refusals', async () => {
    const inFlights: number[] = []
    for (const answer of [DENY, ALLOW]) {
      guard = guardOf()
      asked = []
      for (let viewer = 0; viewer < 500; viewer++) ask(`10.0.${answer.outcome === 'allow' ? 1 : 0}.${viewer}`)
      let inFlight = 0
      for (let round = 0; round < 12; round++) {
        await settle(10)
        inFlight = asked.length
        const batch = asked.splice(0)
        for (const one of batch) await one.answer(answer)
      }
      inFlights.push(inFlight)
    }
    expect(inFlights).toEqual([2, expect.toSatisfy((inFlight: number) => inFlight > 10)])
  })

  it('are lent to others while the backend answers, and kept while it does not', async () => {
    ask('198.51.100.1')
    ask('198.51.100.2')
    ask('198.51.100.3')
    ask('198.51.100.1', 'newcomer', 'token=again')
    await settle(749)
    expect(asked).toHaveLength(2)
    await settle(1 + own.afterMs)
    // Who is late himself does not get another one.
    expect(asked.map(({ question: { clientIp } }) => clientIp.at(-1))).toEqual(['1', '2', '3'])
    own.afterMs = 60_000
    for (const viewer of [4, 5, 6]) ask(`198.51.100.${viewer}`)
    const seventh = ask('198.51.100.7')
    await settle(2_999)
    // Four: two are lent, and two more for them. Everybody else is held back, and told when nginx has to be told something.
    expect([asked.length, seventh]).toEqual([6, {}])
    await settle(6_100)
    expect(seventh).toEqual({ answer: { outcome: 'crowded' } })
  })

  it('that a backend has swallowed are lent when it is back, although it never lets them go', async () => {
    ask('198.51.100.1')
    ask('198.51.100.2')
    own = { bare: failing('timeout'), witness: failing('timeout'), afterMs: 2_250 }
    await settle(3_000)
    for (const one of asked) await one.answer(failing('timeout'), false)
    await settle(1_000)
    expect(events).toEqual(['down: timeout'])
    own = { bare: DENY, witness: DENY, afterMs: 5 }
    await settle(2_000)
    expect(events).toEqual(['down: timeout', 'up'])
    ask('198.51.100.3')
    await settle()
    expect(asked).toHaveLength(3)
  })

  it('have whoever waits for one let go when the backend goes down', async () => {
    ask('198.51.100.1')
    ask('198.51.100.2')
    ask('198.51.100.3')
    const fourth = ask('198.51.100.4')
    own = { bare: failing('refused'), witness: failing('refused'), afterMs: 5 }
    await settle()
    await asked[0]!.answer(failing('refused'))
    await settle(own.afterMs)
    expect(fourth.answer).toMatchObject({ failure: 'breaker', isBackendDown: true })
  })
})

describe('an overloaded backend', () => {
  it('is not down: unknown viewers are held back until it answers again', async () => {
    // A rush of viewers who are admitted gives all of them many places …
    for (let viewer = 0; viewer < 300; viewer++) ask(`10.0.0.${viewer}`)
    for (let round = 0; round < 6; round++) {
      await settle(10)
      for (const one of asked.splice(0)) await one.answer(ALLOW)
    }
    while (asked.length > 0 || (await settle(10), asked.length > 0))
      for (const one of asked.splice(0)) await one.answer(ALLOW)
    // … and then come those whose questions overload it.
    for (let viewer = 0; viewer < 100; viewer++) ask(`172.16.0.${viewer}`)
    await settle()
    expect(asked.length).toBeGreaterThan(10)
    own = { bare: failingWith(503), witness: failingWith(503), afterMs: 5 }
    const flood = asked.splice(0)
    await flood[0]!.answer(failingWith(503))
    await settle(1_500)
    expect([guard.isDown, events]).toEqual([false, []])
    // Nobody unknown is asked about meanwhile, and fewer than before afterwards.
    for (const one of flood.slice(1)) await one.answer(failingWith(503))
    const heldBack = asked.length
    own = { bare: DENY, witness: DENY, afterMs: 5 }
    await settle(1_100)
    expect(events).toEqual([])
    expect(asked.length - heldBack).toBeGreaterThan(0)
    expect(asked.length - heldBack).toBeLessThan(flood.length)
  })
})

describe('a backend whose workers are all held by questions that hang', () => {
  it('is not down: nobody unknown is asked about until it has done with some of them', async () => {
    // Six workers: two are held, it answers all the same, and four more are.
    for (let viewer = 0; viewer < 12; viewer++) ask(`198.51.100.${viewer}`)
    await settle(800)
    expect(asked).toHaveLength(6)
    own = { bare: failing('timeout'), witness: failing('timeout'), afterMs: 2_250 }
    await settle(2_200)
    for (const one of asked) await one.answer(failing('timeout'), false)
    await settle(20_000)
    expect([guard.isDown, events, asked.length]).toEqual([false, [], 6])
    // They are let go: it answers again, and new ones are asked about.
    for (const one of asked) await one.release()
    own = { bare: DENY, witness: DENY, afterMs: 5 }
    await settle(3_500)
    ask('192.0.2.9')
    await settle()
    expect(asked.length).toBeGreaterThan(6)
    expect(events).toEqual([])
  })
})

describe('a try', () => {
  it('is one a second, while the backend is down and no session can tell that it is back', async () => {
    expect(guard.mayTry()).toBe(false)
    own = { bare: failingWith(500), witness: failingWith(500), afterMs: 5 }
    ask(THIEF)
    await settle()
    await asked[0]!.answer(failingWith(500))
    await settle(own.afterMs)
    expect([guard.isDown, guard.mayTry(), guard.mayTry()]).toEqual([true, true, false])
    const told = guard.ask(question('192.0.2.1'), 'newcomer', true)
    await settle(1_000)
    expect(guard.mayTry()).toBe(true)
    await asked.at(-1)!.answer(ALLOW)
    expect(await told).toEqual(ALLOW)
    expect(guard.isDown).toBe(false)
  })

  it('that cannot be read by the backend shows nothing', async () => {
    own = { bare: failingWith(500), witness: failingWith(500), afterMs: 5 }
    ask(THIEF)
    await settle()
    await asked[0]!.answer(failingWith(500))
    await settle(own.afterMs)
    void guard.ask(question('192.0.2.1'), 'newcomer', true)
    await asked.at(-1)!.answer({ outcome: 'deny', status: 400 })
    expect(guard.isDown).toBe(true)
  })
})

describe('what the bare address answers', () => {
  it('is asked now and then while viewers are decided about, and not otherwise', async () => {
    guard = guardOf({ learnt: undefined })
    await settle(600_000)
    expect(ownAsked).toEqual([])
    for (let second = 0; second < 130; second++) {
      ask(`192.0.2.${second}`)
      await settle()
      await asked.at(-1)!.answer(DENY)
      await settle(1_000)
    }
    expect(ownAsked).toEqual(['bare', 'bare', 'bare'])
    expect([guard.neverAnswered, learnt.at(-1)]).toEqual([undefined, 'decided'])
  })

  it.each([
    [failing('refused'), 'refused'],
    [failing('timeout'), 'timeout'],
    // Without a query it may be well.
    [failingWith(500), undefined],
    [failing('reset'), undefined],
  ] as const)('is told where it never has: %j', async (answer, cause) => {
    guard = guardOf({ learnt: undefined })
    own.bare = answer
    void guard.askBare()
    await settle(own.afterMs)
    expect(guard.neverAnswered).toBe(cause)
    ask(THIEF)
    await settle()
    await asked[0]!.answer(answer)
    await settle(1_000)
    expect([guard.isDown, guard.neverAnswered]).toEqual([true, answer.status ?? answer.failure])
    own.bare = DENY
    await settle(1_100)
    expect(guard.neverAnswered).toBeUndefined()
  })
})

describe('a session that is closed', () => {
  it('is not asked about any more, whatever the backend is asked for', async () => {
    await admit('192.0.2.1', '192.0.2.2')
    guard.forget({ clientIp: '192.0.2.1', sessionId: 'token=192.0.2.1' })
    // Another one of its network stays.
    guard.forget({ clientIp: '192.0.2.2', sessionId: 'another' })
    ask(THIEF)
    await settle()
    await asked.at(-1)!.answer(failingWith(500))
    expect(ownAsked).toEqual(['bare', 'token=192.0.2.2'])
  })

  it('of the last start is', async () => {
    guard.remember(question('192.0.2.7'))
    ask(THIEF)
    await settle()
    await asked.at(-1)!.answer(failingWith(500))
    expect(ownAsked).toEqual(['bare', 'token=192.0.2.7'])
  })
})
