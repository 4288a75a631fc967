import { beforeEach, describe, expect, it } from 'vitest'
import type { AccessRequest } from '../../service/access-request.js'
import { createAuthorizer, type Authorizer, type AuthorizerOptions } from '../../service/authorizer.js'
import type { Question } from '../../service/backends/backend.js'
import {
  NOT_ASKED,
  type About,
  type BackendDoor,
  type GuardedAnswer,
} from '../../service/backends/guard/guarded-backend.js'
import { BlockList } from '../../service/block-list.js'
import { ChannelPattern } from '../../service/channel-pattern.js'
import type { Decision } from '../../service/decision.js'
import { NO_ARCHIVE } from '../../service/archive/session-archive.js'
import type { DecisionEvent } from '../../service/questions.js'
import { sessionKeyOf } from '../../service/session.js'
import { SessionStore } from '../../service/session-store.js'

const ALLOW: GuardedAnswer = { outcome: 'allow', status: 200, name: 'ivan', authDurationMs: undefined }
const DENY: GuardedAnswer = { outcome: 'deny', status: 403 }
const DOWN: GuardedAnswer = {
  outcome: 'unavailable',
  failure: 'refused',
  status: undefined,
  isBackendDown: true,
}
/** A failure of this one question, while the backend answers others. */
const FAILED: GuardedAnswer = { outcome: 'unavailable', failure: 'status', status: 500, isBackendDown: false }

/** A backend that answers when told to. */
class FakeBackend implements BackendDoor {
  credentialParams: readonly string[] | undefined = ['token']
  recheckMs = 180_000
  isDown = false
  /** Most questions about sessions at once. */
  places = 32
  /** How many more may be asked about while it is down. */
  tries = 0
  readonly asked: Question[] = []
  #about: About[] = []
  #waiting: ((answer: GuardedAnswer) => void)[] = []
  hasCapacity(): boolean {
    return !this.isFull()
  }
  isFull(): boolean {
    return this.#about.filter((about) => about !== 'newcomer').length >= this.places
  }
  mayTry(): boolean {
    return this.isDown && this.tries-- > 0
  }
  ask(question: Question, about: About, isTry: boolean): Promise<GuardedAnswer> {
    if (this.isDown && !isTry) return Promise.resolve(NOT_ASKED)
    this.asked.push(question)
    this.#about.push(about)
    return new Promise((resolve) => this.#waiting.push(resolve))
  }
  /** Answers everything that waits, and lets all that follows from it happen. */
  async answer(answer: GuardedAnswer): Promise<void> {
    await this.hold()(answer)
  }
  /** Leaves what waits now for later: until the function that it returns is called. */
  hold(): (answer: GuardedAnswer) => Promise<void> {
    const held = this.#waiting.splice(0)
    const about = this.#about.splice(0)
    return async (answer) => {
      this.#about = this.#about.filter((one) => !about.includes(one))
      for (const resolve of held) resolve(answer)
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
}

let backend: FakeBackend
let nowMs: number
let events: DecisionEvent[]
let errors: Error[]
let crowds: string[]
let unread: string[]
let store: SessionStore

beforeEach(() => {
  backend = new FakeBackend()
  nowMs = 1_000_000
  events = []
  errors = []
  crowds = []
  unread = []
})

function authorizer(options: Partial<AuthorizerOptions> = {}): Authorizer {
  store = new SessionStore({
    idleMs: 600_000,
    denialMs: 600_000,
    maxSessions: 2_000,
    maxDenials: 1_000,
    now: () => nowMs,
    archive: NO_ARCHIVE,
  })
  return createAuthorizer({
    backend,
    store,
    blocks: new BlockList(() => nowMs, NO_ARCHIVE),
    random: () => 0,
    whenBackendDown: 'allow',
    channelPattern: new ChannelPattern('^/play/([^/]+)/'),
    credentialParams: undefined,
    tokenlessRequests: 'session',
    sessionRecheckMs: undefined,
    denyTtlMs: 5_000,
    edgeTtlMs: 10_000,
    now: () => nowMs,
    onDecision: (event) => events.push(event),
    onCrowd: (clientIp) => crowds.push(clientIp),
    onUnreadQuery: (query) => unread.push(query),
    onError: (error) => errors.push(error),
    ...options,
  })
}

function request(query: string, changes: Partial<AccessRequest> = {}): AccessRequest {
  return { host: 'tv', path: '/play/a/x.ts', query, clientIp: '192.0.2.1', userAgent: 'mpv', ...changes }
}

/** The key of a request without credentials: its viewer's. */
function keyOf({ host, clientIp, userAgent }: AccessRequest): string {
  return sessionKeyOf({ host, channelId: 'a', clientIp, userAgent, credentials: '' })
}

/** Asks for something new and gives the backend's answer to it. */
async function decide(
  auth: Authorizer,
  query: string,
  answer: GuardedAnswer,
  changes: Partial<AccessRequest> = {},
): Promise<Decision> {
  const decision = auth.authorize(request(query, changes))
  await backend.answer(answer)
  return decision
}

/** The decision apart from how it came about, and how long it may be repeated, which the clock changes. */
function sameSession(decision: Decision): Decision {
  return { ...decision, source: expect.anything() as never, edge: expect.anything() as never }
}

const allowed = { allowed: true }
const refused = { allowed: false, refusal: 403 }

describe('a session', () => {
  it('that another service has opened is known without a question', async () => {
    const auth = authorizer()
    await decide(auth, 'token=a', ALLOW)
    const session = store.newestSession(keyOf(request('')))!
    const other = authorizer()
    store.recall = (key) => (key === session.key ? session : undefined)
    store.recallNewest = (key) => (key === session.viewerKey ? session : undefined)
    const admitted = { allowed: true, sessionId: session.id, sessionName: 'ivan' }
    expect(other.authorize(request('token=a'))).toMatchObject(admitted)
    expect(other.authorize(request(''))).toMatchObject(admitted)
    expect(backend.asked).toHaveLength(1)
    await decide(other, 'token=b', DENY)
    expect(backend.asked).toHaveLength(2)
  })

  it('is asked about once, however many requests come at once', async () => {
    const auth = authorizer()
    const decisions = Array.from({ length: 100 }, async () => auth.authorize(request('token=1')))
    await backend.answer(ALLOW)
    const made = await Promise.all(decisions)
    expect(backend.asked.length).toBe(1)
    expect(new Set(made.map((decision) => JSON.stringify(decision))).size).toBe(1)
    expect(made[0]).toMatchObject({
      allowed: true,
      sessionName: 'ivan',
      sessionId: backend.asked[0]!.sessionId,
    })
    expect(events.length).toBe(1)
  })

  it('is answered at once when it is remembered', async () => {
    const auth = authorizer()
    const first = await decide(auth, 'token=1', ALLOW)
    const remembered = { ...first, source: 'remembered' }
    expect(auth.authorize(request('token=1'))).toEqual(remembered)
    expect(auth.authorize(request('token=1&other=2&_HLS_msn=7'))).toEqual(remembered)
    expect(backend.asked.length).toBe(1)
  })

  it('lives as long as requests come, and is forgotten when idle', async () => {
    const auth = authorizer({ sessionRecheckMs: Infinity })
    await decide(auth, 'token=1', ALLOW)
    for (let count = 0; count < 10; count++) {
      nowMs += 599_000
      expect(auth.authorize(request('token=1'))).toMatchObject(allowed)
    }
    nowMs += 600_001
    expect(await decide(auth, 'token=1', DENY)).toMatchObject(refused)
    expect(backend.asked.length).toBe(2)
  })

  it.each([
    ['host', { host: 'other' }],
    ['channel', { path: '/play/b/x.ts' }],
    ['address', { clientIp: '192.0.2.2' }],
    ['User-Agent', { userAgent: 'vlc' }],
  ])('is not that of another %s', async (_, changes) => {
    const auth = authorizer()
    await decide(auth, 'token=1', ALLOW)
    expect(await decide(auth, 'token=1', DENY, changes)).toMatchObject(refused)
    expect(await decide(auth, '', DENY, changes)).toMatchObject(refused)
  })

  it('never shares its decision with another token', async () => {
    const auth = authorizer()
    await decide(auth, 'token=1', ALLOW)
    expect(await decide(auth, 'token=2', DENY)).toMatchObject(refused)
    expect(auth.authorize(request('token=1'))).toMatchObject(allowed)
  })
})

describe('a request without credentials', () => {
  it('belongs to the session that its viewer opened last', async () => {
    const auth = authorizer()
    await decide(auth, 'token=1', { ...ALLOW, name: 'first' })
    await decide(auth, 'token=2', { ...ALLOW, name: 'second' })
    void auth.authorize(request('token=1'))
    expect(auth.authorize(request(''))).toMatchObject({ sessionName: 'second' })
    expect(backend.asked.length).toBe(2)
  })

  it('is asked about where there is no session, and its refusal never reaches one that opens', async () => {
    const auth = authorizer()
    expect(await decide(auth, '', { outcome: 'deny', status: 401 })).toEqual({
      allowed: false,
      source: 'backend',
      refusal: 401,
      channelId: 'a',
      edge: { freshMs: 0, isStaleAllowed: false },
    })
    await decide(auth, 'token=1', ALLOW)
    expect(auth.authorize(request(''))).toMatchObject(allowed)
  })

  it('keeps a session from becoming idle', async () => {
    const auth = authorizer({ sessionRecheckMs: Infinity })
    await decide(auth, 'token=1', ALLOW)
    for (let count = 0; count < 3; count++) {
      nowMs += 500_000
      expect(auth.authorize(request(''))).toMatchObject(allowed)
    }
  })

  it('is asked about by itself with TOKENLESS_REQUESTS=backend', async () => {
    const auth = authorizer({ tokenlessRequests: 'backend' })
    await decide(auth, 'token=1', ALLOW)
    expect(await decide(auth, '', DENY)).toMatchObject(refused)
    expect(backend.asked.length).toBe(2)
  })
})

describe('who does not get his turn', () => {
  it('is refused, whatever WHEN_BACKEND_DOWN says, and asked about anew with his next request', async () => {
    const auth = authorizer()
    expect(await decide(auth, 'token=1', { outcome: 'crowded' })).toMatchObject({
      ...refused,
      source: 'crowd',
      edge: { freshMs: 0 },
    })
    expect(crowds).toEqual(['192.0.2.1'])
    expect(events).toEqual([])
    expect(await decide(auth, 'token=1', ALLOW)).toMatchObject(allowed)
  })
})

describe('a refusal', () => {
  it('is remembered for DENY_TTL, for its own key', async () => {
    const auth = authorizer()
    await decide(auth, 'token=1', DENY)
    nowMs += 4_999
    expect(auth.authorize(request('token=1'))).toMatchObject(refused)
    expect(await decide(auth, 'token=2', ALLOW)).toMatchObject(allowed)
    nowMs += 1
    expect(await decide(auth, 'token=1', ALLOW)).toMatchObject(allowed)
    expect(backend.asked.length).toBe(3)
  })

  it.each(['/play//x.ts', '/play/a/../b/x.ts', '/play/a/%2e%2e/x', '/other/x.ts', '*', ''])(
    'is the answer to the path %j, without a question',
    (path) => {
      expect(authorizer().authorize(request('token=1', { path }))).toMatchObject({
        ...refused,
        channelId: undefined,
      })
      expect(backend.asked.length).toBe(0)
    },
  )

  it.each([400, 414, 431])(
    'with %d is about that one request: the viewer may ask for another',
    async (status) => {
      const auth = authorizer()
      const odd = { path: '/play/a/".ts' }
      expect(await decide(auth, 'token=1', { outcome: 'deny', status }, odd)).toMatchObject({
        refusal: 403,
        edge: { freshMs: 0 },
      })
      expect(auth.authorize(request('token=1', odd))).toMatchObject({ refusal: 403 })
      expect(backend.asked).toHaveLength(1)
      expect(await decide(auth, 'token=1', ALLOW)).toMatchObject({ allowed: true })
    },
  )
})

describe('a re-check', () => {
  it('happens in the background, once, with the query that opened the session', async () => {
    const auth = authorizer()
    const first = await decide(auth, 'token=1', ALLOW)
    nowMs += 180_000
    for (let count = 0; count < 5; count++)
      expect(auth.authorize(request(''))).toMatchObject(sameSession(first))
    expect(backend.asked.length).toBe(2)
    expect(backend.asked[1]).toEqual(backend.asked[0])
    await backend.answer({ ...ALLOW, name: 'renamed' })
    expect(auth.authorize(request(''))).toMatchObject({ sessionName: 'renamed' })
    expect(backend.asked.length).toBe(2)
  })

  it('follows X-AuthDuration, else SESSION_RECHECK, else the backend', async () => {
    const auth = authorizer({ sessionRecheckMs: 60_000 })
    await decide(auth, 'token=1', { ...ALLOW, authDurationMs: 120_000 })
    nowMs += 119_999
    void auth.authorize(request('token=1'))
    expect(backend.asked.length).toBe(1)
    nowMs += 1
    void auth.authorize(request('token=1'))
    await backend.answer(ALLOW)
    nowMs += 60_000
    void auth.authorize(request('token=1'))
    expect(backend.asked.length).toBe(3)
  })

  it('that refuses closes the session', async () => {
    const auth = authorizer()
    await decide(auth, 'token=1', ALLOW)
    nowMs += 180_000
    void auth.authorize(request('token=1'))
    await backend.answer(DENY)
    expect(auth.authorize(request('token=1'))).toMatchObject(refused)
    expect(store.sessionCount).toBe(0)
  })

  it('that finds the backend down changes nothing and is tried again', async () => {
    const auth = authorizer({ whenBackendDown: 'deny' })
    const first = await decide(auth, 'token=1', ALLOW)
    nowMs += 180_000
    void auth.authorize(request('token=1'))
    await backend.answer(DOWN)
    nowMs += 9_999
    expect(auth.authorize(request('token=1'))).toMatchObject(sameSession(first))
    expect(backend.asked.length).toBe(2)
    nowMs += 1
    expect(auth.authorize(request('token=1'))).toMatchObject(sameSession(first))
    expect(backend.asked.length).toBe(3)
  })
})

it('a query in which nothing is a credential is told of', () => {
  const auth = authorizer({ credentialParams: ['tokn'] })
  for (const query of ['token=a', '', 'tokn=a', 'x=1&tokn=a', '_HLS_msn=1'])
    void auth.authorize(request(query))
  expect(unread).toEqual(['token=a', '_HLS_msn=1'])
})

describe('the edge', () => {
  it('may repeat an admission for EDGE_TTL, and not past the re-check', async () => {
    const auth = authorizer()
    expect((await decide(auth, 'token=1', ALLOW)).edge).toEqual({ freshMs: 10_000, isStaleAllowed: true })
    nowMs += 177_000
    expect(auth.authorize(request(''))).toMatchObject({ edge: { freshMs: 3_000 } })
    nowMs += 5_000
    expect(auth.authorize(request(''))).toMatchObject({ edge: { freshMs: -2_000 } })
  })

  it('may repeat a refusal for what is left of DENY_TTL, but none of a request without credentials', async () => {
    const auth = authorizer()
    expect((await decide(auth, 'token=1', DENY)).edge).toEqual({ freshMs: 5_000, isStaleAllowed: true })
    nowMs += 3_000
    expect(auth.authorize(request('token=1'))).toMatchObject({ edge: { freshMs: 2_000 } })
    expect((await decide(auth, '', DENY)).edge.freshMs).toBe(0)
    expect(auth.authorize(request(''))).toMatchObject({ edge: { freshMs: 0 } })
  })

  it('repeats what no backend has decided for 2 s at most, and never when it is stale', async () => {
    expect((await decide(authorizer(), 'token=1', DOWN)).edge).toEqual({
      freshMs: 2_000,
      isStaleAllowed: false,
    })
    const closed = await decide(authorizer({ whenBackendDown: 'deny' }), 'token=1', DOWN)
    expect(closed.edge.freshMs).toBe(0)
  })

  it('repeats nothing where the name of a file decides, though another path of the channel is its folder', async () => {
    const auth = authorizer({ channelPattern: new ChannelPattern('^/play/([^/]+)/|^/flat/(\\w+)\\.ts') })
    expect((await decide(auth, 'token=1', ALLOW)).edge.freshMs).toBe(10_000)
    const flat = auth.authorize(request('token=1', { path: '/flat/a.ts' }))
    expect(flat).toMatchObject({ allowed: true, edge: { freshMs: 0, isStaleAllowed: false } })
    const refused = await decide(auth, 'token=1', DENY, { path: '/flat/b.ts' })
    expect(refused).toMatchObject({ allowed: false, edge: { freshMs: 0 } })
  })

  it('repeats nothing with EDGE_TTL=0', async () => {
    const auth = authorizer({ edgeTtlMs: 0 })
    expect((await decide(auth, 'token=1', ALLOW)).edge.freshMs).toBe(0)
    expect((await decide(auth, 'token=2', DENY)).edge.freshMs).toBe(0)
  })
})

describe('a bug', () => {
  it('in a re-check is reported and leaves the viewer alone; in a first question it is no admission', async () => {
    const auth = authorizer()
    await decide(auth, 'token=1', ALLOW)
    backend.ask = () => Promise.reject(new Error('a bug'))
    nowMs += 180_000
    expect(auth.authorize(request('token=1'))).toMatchObject(allowed)
    await backend.answer(ALLOW)
    expect(errors.map(({ message }) => message)).toEqual(['a bug'])
    expect(auth.authorize(request('token=1'))).toMatchObject(allowed)
    await expect(auth.authorize(request('token=2'))).rejects.toThrow('a bug')
  })
})

describe('while the backend is down', () => {
  it('the door is open or closed as the operator says', async () => {
    expect(await decide(authorizer(), 'token=1', DOWN)).toMatchObject(allowed)
    expect(events.at(-1)?.verdict).toEqual({ allow: true, source: 'open-door' })
    expect(await decide(authorizer({ whenBackendDown: 'deny' }), 'token=1', DOWN)).toMatchObject(refused)
    expect(events.at(-1)?.verdict).toMatchObject({ allow: false, source: 'closed-door' })
  })

  it.each([
    [403, refused],
    [400, allowed],
  ])(
    'who was refused with %d is refused still, and with 400 for that one request',
    async (status, others) => {
      const auth = authorizer()
      await decide(auth, 'token=1', { outcome: 'deny', status })
      nowMs += 60_000
      expect(await decide(auth, 'token=1', DOWN)).toMatchObject({ ...refused, source: 'kept' })
      nowMs += 60_000
      expect(await decide(auth, 'token=1', DOWN, { path: '/play/a/y.ts' })).toMatchObject(others)
    },
  )

  it('the closed door remembers nothing: the next request asks again', async () => {
    const auth = authorizer({ whenBackendDown: 'deny' })
    await decide(auth, 'token=1', DOWN)
    expect(await decide(auth, 'token=1', ALLOW)).toMatchObject(allowed)
  })

  it('a refused viewer stays refused, however long it takes', async () => {
    const auth = authorizer()
    await decide(auth, 'token=1', DENY)
    for (let count = 0; count < 50; count++) {
      nowMs += 60_000
      expect(await decide(auth, 'token=1', DOWN)).toMatchObject(refused)
    }
  })

  it('who came in through the open door is closed when the backend comes back and says no', async () => {
    const auth = authorizer()
    await decide(auth, 'token=1', DOWN)
    expect(auth.authorize(request(''))).toMatchObject(allowed)
    nowMs += 10_000
    void auth.authorize(request(''))
    await backend.answer(DENY)
    expect(await decide(auth, '', DENY)).toMatchObject(refused)
    expect(auth.authorize(request('token=1'))).toMatchObject(refused)
  })

  it('and there is nothing to tell that it is back, somebody is asked about behind his own back', async () => {
    for (const whenBackendDown of ['allow', 'deny'] as const) {
      backend = new FakeBackend()
      const auth = authorizer({ whenBackendDown })
      backend.isDown = true
      backend.tries = 1
      const isAdmitted = whenBackendDown === 'allow'
      for (const token of ['a', 'b', 'c'])
        expect(auth.authorize(request(`token=${token}`))).toMatchObject({ allowed: isAdmitted })
      expect(backend.asked).toHaveLength(1)
      backend.isDown = false
      await backend.answer(ALLOW)
      expect(auth.authorize(request('token=a'))).toMatchObject(allowed)
      expect(backend.asked).toHaveLength(1)
    }
  })

  it('nobody waits: new viewers get what the operator chose, known ones what they have', async () => {
    for (const whenBackendDown of ['allow', 'deny'] as const) {
      const auth = authorizer({ whenBackendDown })
      await decide(auth, 'token=known', ALLOW)
      await decide(auth, 'token=refused', DENY)
      backend.isDown = true
      nowMs += 6_000
      expect(auth.authorize(request('token=a'))).toMatchObject({ allowed: whenBackendDown === 'allow' })
      expect(auth.authorize(request('token=known'))).toMatchObject(allowed)
      expect(auth.authorize(request('token=refused'))).toMatchObject(refused)
      nowMs += 180_000
      expect(auth.authorize(request('token=known'))).toMatchObject({ ...allowed, edge: { freshMs: 2_000 } })
      expect(backend.asked).toHaveLength(2)
      backend = new FakeBackend()
    }
  })

  it('who came in meanwhile is asked about first, and closed where the backend says so', async () => {
    const auth = authorizer()
    backend.isDown = true
    expect(auth.authorize(request('token=thief'))).toMatchObject(allowed)
    expect(auth.authorize(request('token=payer'))).toMatchObject(allowed)
    backend.isDown = false
    nowMs += 1_000
    void auth.authorize(request('token=payer'))
    await backend.answer(ALLOW)
    expect(events.at(-1)).toMatchObject({ wasUndecided: true, verdict: { allow: true, source: 'backend' } })
    void auth.authorize(request('token=thief'))
    await backend.answer(DENY)
    expect(auth.authorize(request('token=thief'))).toMatchObject(refused)
    expect(auth.authorize(request('token=payer'))).toMatchObject(allowed)
  })

  it('who came in while he was being asked about goes on under one session', async () => {
    const auth = authorizer()
    const first = auth.authorize(request('token=1'))
    const answerFirst = backend.hold()
    backend.isDown = true
    const meanwhile = auth.authorize(request('token=1'))
    await answerFirst(DOWN)
    const { sessionId } = (await meanwhile) as Decision & { allowed: true }
    expect(await first).toMatchObject({ ...allowed, source: 'kept', sessionId })
    expect(events.filter(({ verdict }) => verdict.source === 'open-door')).toHaveLength(1)
    expect(auth.authorize(request('token=1'))).toMatchObject({ ...allowed, sessionId })
  })

  it('who came in while he was being asked about is closed where the backend refuses him', async () => {
    const auth = authorizer()
    const first = auth.authorize(request('token=thief'))
    const answerFirst = backend.hold()
    backend.isDown = true
    expect(auth.authorize(request('token=thief'))).toMatchObject(allowed)
    await answerFirst(DENY)
    expect(await first).toMatchObject(refused)
    expect(events.at(-1)).toMatchObject({ wasUndecided: true, verdict: { allow: false } })
    expect(auth.authorize(request('token=thief'))).toMatchObject(refused)
  })

  it('who came in is asked about without a request of his, as many at once as there are places', async () => {
    const auth = authorizer()
    backend.isDown = true
    for (let viewer = 0; viewer < 8; viewer++) void auth.authorize(request(`token=${viewer}`))
    nowMs += 2_000
    backend.tries = 1
    auth.checkUndecided()
    auth.checkUndecided()
    expect(backend.asked).toHaveLength(1)
    backend.isDown = false
    backend.places = 3
    await backend.answer(ALLOW)
    for (const asked of [4, 7, 8, 8]) {
      expect(backend.asked).toHaveLength(asked)
      await backend.answer(DENY)
    }
    expect(auth.authorize(request('token=7'))).toMatchObject(refused)
  })
})

describe('a question that fails while the backend answers others', () => {
  it('lets nobody in, and is asked anew with the next request', async () => {
    const auth = authorizer()
    expect(await decide(auth, 'token=1', FAILED)).toMatchObject({
      ...refused,
      source: 'single-failure',
      edge: { freshMs: 0 },
    })
    expect(await decide(auth, 'token=1', FAILED)).toMatchObject(refused)
    expect(await decide(auth, 'token=1', ALLOW)).toMatchObject(allowed)
  })

  it('is the end for who came in while it was down, and not for whom it has admitted itself', async () => {
    const auth = authorizer()
    await decide(auth, 'token=payer', ALLOW)
    backend.isDown = true
    void auth.authorize(request('token=thief'))
    backend.isDown = false
    nowMs += 180_000
    void auth.authorize(request('token=payer'))
    void auth.authorize(request('token=thief'))
    await backend.answer(FAILED)
    expect(auth.authorize(request('token=payer'))).toMatchObject(allowed)
    expect(store.sessionCount).toBe(1)
    // It was no decision about him: he may have been unlucky.
    expect(await decide(auth, 'token=thief', ALLOW)).toMatchObject(allowed)
  })

  it('is asked less and less often where it is about a session', async () => {
    const auth = authorizer()
    await decide(auth, 'token=1', ALLOW)
    nowMs += 180_000
    const askedAtMs: number[] = []
    for (let second = 0; second < 160; second++) {
      const before = backend.asked.length
      expect(auth.authorize(request('token=1'))).toMatchObject(allowed)
      await backend.answer(FAILED)
      if (backend.asked.length > before) askedAtMs.push(second)
      nowMs += 1_000
    }
    expect(askedAtMs).toEqual([0, 10, 30, 70, 150])
  })
})

describe('sessions that are due all at once', () => {
  it('are not asked about all at once: the backend has just come back', async () => {
    const auth = authorizer()
    backend.places = 3
    const viewers = Array.from({ length: 10 }, (_, at) => ({ clientIp: `192.0.2.${at}` }))
    for (const viewer of viewers) await decide(auth, 'token=1', ALLOW, viewer)
    nowMs += 180_000
    for (const asked of [13, 16, 19, 20]) {
      for (const viewer of viewers) expect(auth.authorize(request('token=1', viewer))).toMatchObject(allowed)
      expect(backend.asked).toHaveLength(asked)
      await backend.answer(ALLOW)
    }
  })

  it('may be repeated by nginx for a moment where they cannot be asked about', async () => {
    const auth = authorizer()
    backend.places = 1
    await decide(auth, 'token=1', ALLOW)
    await decide(auth, 'token=2', ALLOW)
    nowMs += 180_000
    expect(auth.authorize(request('token=1'))).toMatchObject({ ...allowed, edge: { freshMs: 0 } })
    expect(auth.authorize(request('token=2'))).toMatchObject({ ...allowed, edge: { freshMs: 2_000 } })
  })
})

describe('a session that is refused at a re-check', () => {
  it('takes its segments with it, and an outage does not let them in again', async () => {
    const auth = authorizer()
    await decide(auth, 'token=1', ALLOW)
    nowMs += 180_000
    await decide(auth, '', DENY)
    expect(auth.authorize(request(''))).toMatchObject(refused)
    nowMs += 5_000
    expect(await decide(auth, '', DOWN)).toMatchObject({ ...refused, source: 'kept' })
  })
})

describe('a session that an operator closes', () => {
  const tokenless = request('')

  it('is refused when nginx asks next, with its token and without, and may come back later', async () => {
    const auth = authorizer()
    await decide(auth, 'token=1', ALLOW)
    auth.closings.close(store.newestSession(keyOf(tokenless))!, 0)
    // Longer than nginx may repeat its admission.
    nowMs += 24_999
    expect(auth.authorize(request('token=1'))).toMatchObject(refused)
    expect(auth.authorize(tokenless)).toMatchObject(refused)
    expect(backend.asked.length).toBe(1)
    nowMs += 1
    expect(await decide(auth, 'token=1', ALLOW)).toMatchObject(allowed)
  })

  it('stays refused while the backend is down', async () => {
    const auth = authorizer()
    await decide(auth, 'token=1', ALLOW)
    auth.closings.close(store.newestSession(keyOf(tokenless))!, 0)
    nowMs += 30_000
    expect(await decide(auth, 'token=1', DOWN)).toMatchObject({ ...refused, source: 'kept' })
    expect(await decide(auth, '', DOWN)).toMatchObject({ ...refused, source: 'kept' })
  })

  it('leaves all others alone, also those of the same viewer', async () => {
    const auth = authorizer()
    await decide(auth, 'token=2', ALLOW)
    await decide(auth, 'token=1', ALLOW)
    await decide(auth, 'token=1', ALLOW, { clientIp: '192.0.2.2' })
    auth.closings.close(store.newestSession(keyOf(tokenless))!, 0)
    expect(auth.authorize(request('token=1'))).toMatchObject(refused)
    expect(auth.authorize(request('token=2'))).toMatchObject(allowed)
    expect(auth.authorize(tokenless)).toMatchObject(allowed)
    expect(auth.authorize(request('token=1', { clientIp: '192.0.2.2' }))).toMatchObject(allowed)
  })

  it('takes those of its viewer with it that no player uses: his segments would go on as theirs', async () => {
    const auth = authorizer()
    await decide(auth, 'token=before', ALLOW)
    await decide(auth, 'token=neighbour', ALLOW)
    await decide(auth, 'token=now', ALLOW)
    nowMs += 40_001
    expect(auth.authorize(request('token=neighbour'))).toMatchObject(allowed)
    auth.closings.close(store.newestSession(keyOf(tokenless))!, 0)
    expect(store.sessionCount).toBe(1)
    expect(auth.authorize(request('token=neighbour'))).toMatchObject(allowed)
    expect(auth.authorize(request('token=before'))).toMatchObject(refused)
  })

  it('with a block keeps its viewer out of the channel, whatever token he brings, until it has run out', async () => {
    const auth = authorizer()
    await decide(auth, 'token=1', ALLOW)
    await decide(auth, 'token=2', ALLOW)
    auth.closings.close(store.newestSession(keyOf(tokenless))!, 600_000)
    for (const query of ['token=1', 'token=2', 'token=3', ''])
      expect(auth.authorize(request(query))).toMatchObject({ ...refused, source: 'blocked' })
    expect(await decide(auth, 'token=3', ALLOW, { path: '/play/b/x.ts' })).toMatchObject(allowed)
    expect(await decide(auth, 'token=3', ALLOW, { userAgent: 'vlc' })).toMatchObject(allowed)
    nowMs += 600_000
    expect(await decide(auth, 'token=3', ALLOW)).toMatchObject(allowed)
  })

  it('with a block takes all of its viewer with it, in turns, unless it is lifted before', async () => {
    const blocks = new BlockList(() => nowMs, NO_ARCHIVE)
    for (const isLifted of [false, true]) {
      const auth = authorizer({ blocks })
      await decide(auth, 'token=1', ALLOW)
      const session = store.newestSession(keyOf(tokenless))!
      for (let copy = 0; copy < 1_500; copy++)
        store.open({ ...session, key: keyOf(request(`token=copy${copy}`)).concat(`copy${copy}`) })
      auth.closings.close(session, 600_000)
      expect(store.sessionCount).toBe(500)
      if (isLifted) blocks.lift(session.id)
      auth.closings.closeBlocked()
      expect(store.sessionCount).toBe(isLifted ? 500 : 0)
      blocks.lift(session.id)
    }
  })

  it('with a block is not followed by one about which the backend was being asked', async () => {
    const auth = authorizer()
    await decide(auth, 'token=1', ALLOW)
    const one = auth.authorize(request('token=2'))
    const other = auth.authorize(request('token=2'))
    auth.closings.close(store.newestSession(keyOf(tokenless))!, 600_000)
    await backend.answer(ALLOW)
    for (const decision of [await one, await other])
      expect(decision).toMatchObject({ ...refused, source: 'blocked' })
    expect(store.sessionCount).toBe(0)
  })

  it.each([DOWN, ALLOW])(
    'is closed for whoever waits for a re-check of it, without another question: %j',
    async (answer) => {
      const auth = authorizer({ denyTtlMs: 1_000, edgeTtlMs: 0 })
      await decide(auth, 'token=1', ALLOW)
      nowMs += 180_000
      expect(auth.authorize(request('token=1'))).toMatchObject(allowed)
      auth.closings.close(store.newestSession(keyOf(tokenless))!, 0)
      nowMs += 1_000
      const late = auth.authorize(request('token=1'))
      await backend.answer(answer)
      expect(await late).toMatchObject({ ...refused, source: 'kept' })
      expect([store.sessionCount, backend.asked.length]).toEqual([0, 2])
    },
  )

  it('is not opened again by an answer about its viewer that was under way', async () => {
    const auth = authorizer()
    void auth.authorize(request('token=1'))
    const answerFirst = backend.hold()
    backend.isDown = true
    expect(auth.authorize(request('token=1'))).toMatchObject(allowed)
    auth.closings.close(store.newestSession(keyOf(tokenless))!, 0)
    await answerFirst(ALLOW)
    expect(auth.authorize(request('token=1'))).toMatchObject({ ...refused, source: 'remembered' })
  })

  it('leaves those that no player uses alone where each request brings a token', async () => {
    const auth = authorizer({ tokenlessRequests: 'backend' })
    await decide(auth, 'token=neighbour', ALLOW)
    await decide(auth, 'token=1', ALLOW)
    nowMs += 60_000
    auth.closings.close(store.newestSession(keyOf(tokenless))!, 0)
    expect(auth.authorize(request('token=neighbour'))).toMatchObject(allowed)
  })

  it('is not opened again by a re-check that was under way', async () => {
    const auth = authorizer()
    await decide(auth, 'token=1', ALLOW)
    nowMs += 180_000
    expect(auth.authorize(request('token=1'))).toMatchObject(allowed)
    auth.closings.close(store.newestSession(keyOf(tokenless))!, 0)
    await backend.answer(ALLOW)
    expect(auth.authorize(request('token=1'))).toMatchObject(refused)
  })
})
