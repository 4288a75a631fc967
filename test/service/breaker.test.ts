import { beforeEach, describe, expect, it } from 'vitest'
import type { Answer } from '../../service/decision.js'
import { Breaker } from '../../service/breaker.js'

let nowMs: number
let changes: string[]
let breaker: Breaker

beforeEach(() => {
  nowMs = 0
  changes = []
  breaker = new Breaker({
    perAddress: 2,
    slowMs: 1_000,
    now: () => nowMs,
    onOpen: () => changes.push('open'),
    onClose: () => changes.push('closed'),
  })
})

const ANSWERED: Answer = { outcome: 'deny', status: 403 }
const DOWN: Answer = { outcome: 'unavailable', failure: 'refused', status: undefined }
const BROKEN: Answer = { outcome: 'unavailable', failure: 'reset', status: undefined }

async function learn({ answer = ANSWERED, clientIp = '192.0.2.1', elapsedMs = 10 } = {}): Promise<void> {
  await breaker.watch(clientIp, async () => {
    nowMs += elapsedMs
    return answer
  })
}
async function fail(times: number, answer = DOWN, clientIp = '192.0.2.1'): Promise<void> {
  for (let time = 0; time < times; time++) await learn({ answer, clientIp, elapsedMs: 0 })
}

describe('the breaker', () => {
  it('opens after five failures in a row, not before, and not for five with an answer between them', async () => {
    await fail(4)
    await learn()
    await fail(4)
    expect(breaker.isOpen).toBe(false)
    await fail(1)
    expect(changes).toEqual(['open'])
  })

  it('does not open for failures that one viewer may cause, but for those of two', async () => {
    await fail(50, BROKEN)
    expect(breaker.isOpen).toBe(false)
    for (let time = 0; time < 3; time++) {
      await fail(1, BROKEN, '192.0.2.2')
      await fail(1, BROKEN)
    }
    expect(breaker.isOpen).toBe(true)
  })

  it('opens when most answers are slow, and closes with one in time', async () => {
    for (let time = 0; time < 14; time++) await learn({ elapsedMs: 1_001 })
    for (let time = 0; time < 6; time++) await learn({ elapsedMs: 1_000 })
    expect(breaker.isOpen).toBe(false)
    for (let time = 0; time < 50; time++) await learn({ elapsedMs: 1_001 })
    // One address alone proves nothing: its viewer may ask for what is slow.
    expect(breaker.isOpen).toBe(false)
    await learn({ elapsedMs: 1_001, clientIp: '192.0.2.2' })
    expect(breaker.isOpen).toBe(true)
    await learn({ elapsedMs: 1_001 })
    expect(breaker.isOpen).toBe(true)
    await learn()
    expect(changes).toEqual(['open', 'closed'])
  })

  it('lets one question a second through while it is open, and all of them once one is answered', async () => {
    await fail(5)
    expect(breaker.mayAsk()).toBe(false)
    nowMs = 1_000
    expect([breaker.mayAsk(), breaker.mayAsk()]).toEqual([true, false])
    await fail(1)
    nowMs = 2_000
    expect(breaker.mayAsk()).toBe(true)
    await learn()
    expect([breaker.mayAsk(), breaker.mayAsk()]).toEqual([true, true])
  })
})
