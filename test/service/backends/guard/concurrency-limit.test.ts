import { beforeEach, describe, expect, it } from 'vitest'
import { ConcurrencyLimit } from '../../../../service/backends/guard/concurrency-limit.js'

let nowMs: number
let limit: ConcurrencyLimit
beforeEach(() => {
  nowMs = 0
  limit = new ConcurrencyLimit({ most: 64, now: () => nowMs })
})
const admit = (times: number, elapsedMs = 20, isUsedUp = true) => {
  for (let time = 0; time < times; time++) limit.admitted(elapsedMs, isUsedUp)
}

describe('the limit', () => {
  it('begins small, and grows with each admission while it is used up', () => {
    expect(limit.value).toBe(8)
    admit(10)
    expect(limit.value).toBe(18)
    admit(1_000)
    expect(limit.value).toBe(64)
  })

  it('does not grow where it is not used up', () => {
    admit(100, 20, false)
    expect(limit.value).toBe(8)
  })

  it('does not grow while answers take twice as long as the fastest: they wait for each other', () => {
    // A pool of four workers of 100 ms each.
    admit(1, 100)
    for (let round = 0; round < 100; round++) admit(1, 100 * Math.max(1, limit.value / 4))
    expect(limit.value).toBe(9)
  })

  it('takes what is fast from the last minute, not from better times', () => {
    admit(1, 10)
    for (const later of [20_000, 31_000, 62_000, 93_000]) {
      nowMs = later
      admit(1, 100)
    }
    expect(limit.value).toBe(11)
  })

  it('is halved, at most to where it began, and grows slowly from there', () => {
    admit(100)
    limit.halve()
    expect(limit.value).toBe(32)
    admit(16)
    expect(limit.value).toBe(32)
    admit(17)
    expect(limit.value).toBe(33)
    for (let time = 0; time < 5; time++) limit.halve()
    expect(limit.value).toBe(8)
  })

  it('is never more than the operator says', () => {
    limit = new ConcurrencyLimit({ most: 4, now: () => nowMs })
    expect(limit.value).toBe(4)
    admit(10)
    limit.halve()
    expect(limit.value).toBe(4)
  })
})
