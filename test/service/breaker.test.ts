import { beforeEach, describe, expect, it } from 'vitest'
import { Breaker } from '../../service/breaker.js'

let nowMs: number
let changes: string[]
let breaker: Breaker

beforeEach(() => {
  nowMs = 0
  changes = []
  breaker = new Breaker({
    slowMs: 1_000,
    now: () => nowMs,
    onOpen: () => changes.push('open'),
    onClose: () => changes.push('closed'),
  })
})

function learn(
  changed: { hasFailed?: boolean; mayBeCaused?: boolean; clientIp?: string; elapsedMs?: number } = {},
) {
  breaker.learn({ hasFailed: false, mayBeCaused: false, clientIp: '192.0.2.1', elapsedMs: 10, ...changed })
}
const fail = (times: number, changed = {}) => {
  for (let time = 0; time < times; time++) learn({ hasFailed: true, ...changed })
}

describe('the breaker', () => {
  it('opens after five failures in a row, not before, and not for five with an answer between them', () => {
    fail(4)
    learn()
    fail(4)
    expect(breaker.isOpen).toBe(false)
    fail(1)
    expect(changes).toEqual(['open'])
  })

  it('does not open for failures that one viewer may cause, but for those of two', () => {
    fail(50, { mayBeCaused: true })
    expect(breaker.isOpen).toBe(false)
    for (let time = 0; time < 3; time++) {
      fail(1, { mayBeCaused: true, clientIp: '192.0.2.2' })
      fail(1, { mayBeCaused: true })
    }
    expect(breaker.isOpen).toBe(true)
  })

  it('opens when most answers are slow, and closes with one in time', () => {
    for (let time = 0; time < 14; time++) learn({ elapsedMs: 1_001 })
    for (let time = 0; time < 6; time++) learn({ elapsedMs: 1_000 })
    expect(breaker.isOpen).toBe(false)
    for (let time = 0; time < 15; time++) learn({ elapsedMs: 1_001 })
    expect(breaker.isOpen).toBe(true)
    learn({ elapsedMs: 1_001 })
    expect(breaker.isOpen).toBe(true)
    learn()
    expect(changes).toEqual(['open', 'closed'])
  })

  it('lets one question a second through while it is open, and all of them once one is answered', () => {
    fail(5)
    expect(breaker.mayAsk()).toBe(false)
    nowMs = 1_000
    expect([breaker.mayAsk(), breaker.mayAsk()]).toEqual([true, false])
    fail(1)
    nowMs = 2_000
    expect(breaker.mayAsk()).toBe(true)
    learn()
    expect([breaker.mayAsk(), breaker.mayAsk()]).toEqual([true, true])
  })
})
