import { beforeEach, describe, expect, it } from 'vitest'
import { BareAnswers } from '../../../../service/backends/guard/bare-answers.js'

let told: string[]
let bare: BareAnswers
beforeEach(() => {
  told = []
  bare = new BareAnswers(undefined, (text) => told.push(text))
})

/** The bare address fails, and then somebody is decided about. */
function failWhileWell(times: number, cause: 500 | 'timeout' = 500): void {
  for (let time = 0; time < times; time++) {
    bare.failed(cause, time)
    bare.viewerDecided(time)
  }
}

describe('a failure of the bare address', () => {
  it('tells before the backend has ever answered, and that is known from the next start on', () => {
    expect([bare.hasAnswered, bare.isTelling(500)]).toEqual([false, true])
    bare.viewerDecided(0)
    expect([bare.hasAnswered, bare.isTelling(500)]).toEqual([true, false])
    expect(new BareAnswers(told.at(-1), () => {}).hasAnswered).toBe(true)
  })

  it('tells where it is usually answered', () => {
    bare.decided()
    expect([bare.hasAnswered, bare.isTelling(500), bare.isTelling('slow')]).toEqual([true, true, true])
    const next = new BareAnswers(told.at(-1), () => {})
    expect(next.isTelling(500)).toBe(true)
  })

  it('tells that nobody is there, whatever is known of it', () => {
    bare.viewerDecided(0)
    expect(['refused', 'dns', 'tls'].map((cause) => bare.isTelling(cause as 'dns'))).toEqual([
      true,
      true,
      true,
    ])
    expect(bare.isTelling('timeout')).toBe(false)
  })

  it('tells nothing any more after three times while others are decided about, until it is answered again', () => {
    bare.decided()
    failWhileWell(2)
    expect(bare.isTelling(500)).toBe(true)
    failWhileWell(1)
    expect([bare.isTelling(500), bare.isTelling(502), bare.isTelling('refused')]).toEqual([false, true, true])
    const next = new BareAnswers(told.at(-1), () => {})
    expect([next.isTelling(500), next.isTelling(502), next.isSettled]).toEqual([false, true, true])
    bare.decided()
    expect([bare.isTelling(500), told.at(-1)]).toEqual([true, 'decided'])
  })

  it('is not excused by decisions from before it, nor twice by one', () => {
    bare.decided()
    for (let time = 0; time < 10; time++) {
      bare.failed(500, 100)
      bare.viewerDecided(99)
    }
    expect(bare.isTelling(500)).toBe(true)
    bare.failed(500, 100)
    for (let time = 0; time < 10; time++) bare.viewerDecided(101)
    expect(bare.isTelling(500)).toBe(true)
  })

  it('is another where it looks different', () => {
    bare.decided()
    failWhileWell(2)
    failWhileWell(2, 'timeout')
    failWhileWell(2)
    expect([bare.isTelling(500), bare.isTelling('timeout')]).toEqual([true, true])
  })

  it('is looked at again and again until it is known', () => {
    expect(bare.isSettled).toBe(false)
    bare.decided()
    expect(bare.isSettled).toBe(true)
    bare.failed(500, 0)
    expect(bare.isSettled).toBe(false)
    failWhileWell(3)
    expect(bare.isSettled).toBe(true)
  })
})
