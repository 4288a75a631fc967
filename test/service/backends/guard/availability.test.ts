import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Availability, type Round, type State } from '../../../../service/backends/guard/availability.js'
import type { OwnAnswer } from '../../../../service/backends/guard/verdict.js'

/** A round of own questions that is answered when it is told to. */
interface Asked {
  readonly atMs: number
  answer(bare: OwnAnswer, witnesses?: OwnAnswer[]): Promise<void>
}

const WITNESSES = 2
const DOWN: [OwnAnswer, OwnAnswer[]] = [{ cause: 'refused' }, [{ cause: 'refused' }, { cause: 'refused' }]]
const UP: [OwnAnswer, OwnAnswer[]] = ['decided', ['decided', 'decided']]
const BLIND: [OwnAnswer, OwnAnswer[]] = ['decided', [{ cause: 500 }, { cause: 500 }]]
const SLOW: [OwnAnswer, OwnAnswer[]] = [{ cause: 'slow' }, [{ cause: 'slow' }, { cause: 'slow' }]]

let rounds: Asked[]
let isQuiet: boolean
let events: string[]
let answered: number
let availability: Availability
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] })
  vi.setSystemTime(1_000_000)
  rounds = []
  isQuiet = true
  events = []
  answered = 0
  availability = new Availability({
    ask,
    isTelling: () => true,
    isQuiet: () => isQuiet,
    holdMs: () => 200,
    now: Date.now,
    onDown: (cause) => events.push(`down: ${cause}`),
    onUp: () => events.push('up'),
    onAnswered: () => answered++,
    onTrouble: () => events.push('trouble'),
    onHold: () => events.push(availability.isHolding ? 'hold' : 'go on'),
  })
})
afterEach(() => vi.useRealTimers())

function ask(): Round {
  const resolvers: ((answer: OwnAnswer) => void)[] = []
  const asked = () => new Promise<OwnAnswer>((resolve) => resolvers.push(resolve))
  const round = { bare: asked(), witnesses: Array.from({ length: WITNESSES }, asked) }
  rounds.push({
    atMs: Date.now(),
    async answer(bare, witnesses = []) {
      for (const [at, answer] of [bare, ...witnesses].entries()) resolvers[at]!(answer)
      await vi.advanceTimersByTimeAsync(0)
    },
  })
  return round
}
/** What a viewer learns whose question fails now. */
function fail(patienceMs = 9_000) {
  const told: { state?: State } = {}
  void availability
    .stateSince(Date.now(), Date.now() + patienceMs)
    .then((state) => Object.assign(told, { state }))
  return told
}
const wait = (ms: number) => vi.advanceTimersByTimeAsync(ms)

describe('a viewer whose question fails', () => {
  it('learns that the backend is down where the service finds it so, and others need not wait then', async () => {
    const told = fail()
    await rounds[0]!.answer(...DOWN)
    expect([told, availability.isDown]).toEqual([{ state: 'down' }, true])
    expect(events).toEqual(['trouble', 'down: refused'])
    const other = fail()
    await wait(0)
    expect(other).toEqual({ state: 'down' })
  })

  it('learns that it is up with the first witness who is decided about', async () => {
    const told = fail()
    await rounds[0]!.answer('decided')
    expect(told).toEqual({})
    await rounds[0]!.answer('decided', ['decided'])
    expect(told).toEqual({ state: 'up' })
    expect([events, answered]).toEqual([[], 1])
  })

  it('waits for a round that began after he was asked about, and that is at most one a second', async () => {
    const first = fail()
    await wait(1)
    const second = fail()
    await wait(400)
    const third = fail()
    expect(rounds).toHaveLength(1)
    await rounds[0]!.answer(...UP)
    expect([first, second]).toEqual([{ state: 'up' }, {}])
    await wait(600)
    expect(rounds.map(({ atMs }) => atMs)).toEqual([1_000_000, 1_001_000])
    await rounds[1]!.answer(...DOWN)
    expect([second, third]).toEqual([{ state: 'down' }, { state: 'down' }])
  })

  it('is not admitted when nothing is known in time', async () => {
    const told = fail(5_000)
    await wait(4_999)
    expect(told).toEqual({})
    await wait(1)
    expect(told).toEqual({ state: 'unknown' })
  })

  it('brings about no more than a question a second, however many fail, and none when nobody does', async () => {
    for (let viewer = 0; viewer < 1_000; viewer++) fail()
    for (let second = 0; second < 5; second++) {
      availability.suspect()
      await rounds.at(-1)!.answer(...UP)
      await wait(1_000)
    }
    expect(rounds).toHaveLength(6)
    await rounds.at(-1)!.answer(...UP)
    await wait(60_000)
    expect(rounds).toHaveLength(6)
  })
})

describe('a backend that is down', () => {
  beforeEach(async () => {
    fail()
    await rounds[0]!.answer(...DOWN)
    events = []
  })

  it('is asked every second, although it does not answer, and is up with the first answer', async () => {
    await wait(3_000)
    expect(rounds).toHaveLength(4)
    await rounds[3]!.answer('decided', [{ cause: 500 }, 'decided'])
    expect([availability.isDown, events]).toEqual([false, ['up']])
    // What was asked before and fails only now knows nothing newer.
    await rounds[1]!.answer(...DOWN)
    await rounds[2]!.answer(...DOWN)
    expect(availability.isDown).toBe(false)
    await wait(10_000)
    expect(rounds).toHaveLength(4)
  })

  it('is up also where its bare address alone says so', async () => {
    await wait(1_000)
    await rounds[1]!.answer('decided', [{ cause: 500 }, { cause: 'timeout' }])
    expect(availability.isDown).toBe(true)
    await wait(1_000)
    await rounds[2]!.answer('decided', ['decided', { cause: 'timeout' }])
    expect(availability.isDown).toBe(false)
  })

  it('is up when it has decided about a viewer', () => {
    availability.decided()
    expect([availability.isDown, events]).toEqual([false, ['up']])
  })

  it('that hangs has so many questions and no more', async () => {
    await wait(60_000)
    expect(rounds).toHaveLength(9)
  })
})

describe('a backend that fails for admitted viewers and answers its bare address', () => {
  it('is down after two rounds, and up only with a witness', async () => {
    const told = fail()
    await rounds[0]!.answer(...BLIND)
    expect([told, availability.isDown]).toEqual([{}, false])
    await wait(1_000)
    await rounds[1]!.answer(...BLIND)
    expect([told, availability.isDown]).toEqual([{ state: 'down' }, true])
    await wait(1_000)
    await rounds[2]!.answer(...BLIND)
    expect(availability.isDown).toBe(true)
    await wait(1_000)
    await rounds[3]!.answer('decided', [{ cause: 500 }, 'decided'])
    expect(availability.isDown).toBe(false)
  })

  it('is not down when one of the rounds says otherwise', async () => {
    fail()
    for (let second = 0; second < 6; second++) {
      await rounds.at(-1)!.answer(...(second % 2 === 0 ? BLIND : UP))
      fail()
      await wait(1_000)
    }
    expect(availability.isDown).toBe(false)
  })
})

describe('a slow backend', () => {
  it('is down after three rounds in a row that nobody has to bring about', async () => {
    availability.suspect()
    for (let second = 0; second < 2; second++) {
      await rounds.at(-1)!.answer(...SLOW)
      await wait(1_000)
    }
    expect(availability.isDown).toBe(false)
    await rounds.at(-1)!.answer(...SLOW)
    expect(events.at(-1)).toBe('down: slow')
  })
})

describe('a backend that fails while many are asked about', () => {
  const OVERLOADED: [OwnAnswer, OwnAnswer[]] = [{ cause: 503 }, [{ cause: 'timeout' }, { cause: 503 }]]
  beforeEach(() => (isQuiet = false))

  it('is not down: new viewers are held back, and it is asked again when it is quiet', async () => {
    const told = fail()
    await rounds[0]!.answer(...OVERLOADED)
    expect([told, availability.isDown, availability.isHolding]).toEqual([{}, false, true])
    await wait(1_000)
    await rounds[1]!.answer(...OVERLOADED)
    isQuiet = true
    await wait(1_000)
    await rounds[2]!.answer(...UP)
    expect([told, availability.isDown, availability.isHolding]).toEqual([{ state: 'up' }, false, false])
    expect(events).toEqual(['trouble', 'hold', 'trouble', 'go on'])
  })

  it('is down where it fails in quiet as well, and nobody is held back any more', async () => {
    const told = fail()
    await rounds[0]!.answer(...OVERLOADED)
    isQuiet = true
    await wait(1_000)
    // Quiet is what it was when the round began.
    isQuiet = false
    await rounds[1]!.answer(...OVERLOADED)
    expect([told, availability.isDown, availability.isHolding]).toEqual([{ state: 'down' }, true, false])
  })

  it('is down at once where nobody was there to read the questions', async () => {
    const told = fail()
    await rounds[0]!.answer(...DOWN)
    expect([told, availability.isDown]).toEqual([{ state: 'down' }, true])
  })

  it('has them held back before it is known, so that its next round begins in quiet', async () => {
    fail()
    await wait(199)
    expect(availability.isHolding).toBe(false)
    await wait(1)
    expect(availability.isHolding).toBe(true)
    await rounds[0]!.answer(...UP)
    expect([availability.isHolding, events]).toEqual([false, ['hold', 'go on']])
  })
})
