import { beforeEach, describe, expect, it } from 'vitest'
import type { Answer } from '../../service/decision.js'
import { Breaker } from '../../service/breaker.js'
import { networkOf } from '../../service/network.js'

let nowMs: number
let changes: string[]
let breaker: Breaker

beforeEach(() => {
  nowMs = 0
  changes = []
  breaker = new Breaker({
    slowMs: 1_000,
    now: () => nowMs,
    onOpen: (cause) => changes.push(`open: ${cause}`),
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
    expect(changes).toEqual(['open: refused'])
  })

  it.each([
    ['breaks off', BROKEN, Infinity],
    ['hangs', { outcome: 'unavailable', failure: 'timeout', status: undefined }, 20],
    ['has enough of one', { outcome: 'unavailable', failure: 'status', status: 429 }, 20],
  ] as const)('that %s for one network does not open it soon, and for two does', async (_, failure, most) => {
    for (let time = 0; time < Math.min(most - 1, 100); time++) await fail(1, failure, `2001:db8::${time}`)
    expect(breaker.isOpen).toBe(false)
    await learn()
    for (let time = 0; time < 3; time++) {
      await fail(1, failure, '192.0.2.2')
      await fail(1, failure)
    }
    expect(breaker.isOpen).toBe(true)
  })

  it('opens for one network alone where there is nobody else', async () => {
    await fail(20, { outcome: 'unavailable', failure: 'timeout', status: undefined })
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
    expect(changes).toEqual(['open: slow', 'closed'])
  })

  it('lets one question a second through while it is open, and all of them once one is answered', async () => {
    await fail(5)
    expect(breaker.mayAsk('192.0.2.1')).toBe(false)
    nowMs = 1_000
    expect(breaker.isAskable).toBe(true)
    expect([breaker.mayAsk('192.0.2.1'), breaker.mayAsk('192.0.2.2')]).toEqual([true, false])
    await fail(1)
    nowMs = 2_000
    // Others come first: nobody whose own questions fail can keep it open.
    expect([breaker.mayAsk('192.0.2.1'), breaker.mayAsk('192.0.2.2')]).toEqual([false, true])
    await fail(1)
    nowMs = 3_500
    expect(breaker.mayAsk('192.0.2.2')).toBe(true)
    await learn()
    expect([breaker.mayAsk('192.0.2.1'), breaker.mayAsk('192.0.2.1')]).toEqual([true, true])
  })
})

describe('a network', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '::ffff:192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
    ['2001:db8:1:2::6', '2001:db8:1:2'],
    ['2001:db8::6', '2001:db8:0:0'],
    ['2001:db8:1::', '2001:db8:1:0'],
    ['::1', '0:0:0:0'],
    ['::', '0:0:0:0'],
  ])('of %s is %s', (clientIp, network) => {
    expect(networkOf(clientIp)).toBe(network)
  })
})
