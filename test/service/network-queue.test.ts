import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { NetworkQueue } from '../../service/network-queue.js'

/** Questions that end when they are told to. */
let asked: string[]
let end: Map<string, (answer: string) => void>
let queue: NetworkQueue
beforeEach(() => {
  asked = []
  end = new Map()
  queue = new NetworkQueue({ most: 2, waitMs: 3_000 })
})
afterEach(() => vi.useRealTimers())

const ask = (name: string, clientIp = '192.0.2.1') =>
  queue.inTurn(clientIp, () => {
    asked.push(name)
    return new Promise<string>((resolve) => end.set(name, resolve))
  })

describe('questions about one network', () => {
  it('are so many at once, and the others come in their order', async () => {
    const answers = ['a', 'b', 'c', 'd'].map((name) => ask(name))
    expect([asked, queue.hasRoom('192.0.2.1'), queue.hasRoom('192.0.2.2')]).toEqual([['a', 'b'], false, true])
    end.get('b')!('B')
    await turn()
    expect(asked).toEqual(['a', 'b', 'c'])
    // Whoever comes now comes behind him who waits.
    void ask('e')
    end.get('a')!('A')
    end.get('c')!('C')
    await turn()
    expect(asked).toEqual(['a', 'b', 'c', 'd', 'e'])
    end.get('d')!('D')
    end.get('e')!('E')
    expect(await Promise.all(answers)).toEqual(['A', 'B', 'C', 'D'])
    await turn()
    expect(queue.hasRoom('192.0.2.1')).toBe(true)
  })

  it('wait no longer than they may, and leave no gap', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    void ask('a')
    void ask('b')
    const late = ask('late')
    vi.advanceTimersByTime(2_000)
    const later = ask('later')
    vi.advanceTimersByTime(1_000)
    expect(await late).toBeUndefined()
    end.get('a')!('A')
    await turn()
    expect(asked).toEqual(['a', 'b', 'later'])
    end.get('later')!('L')
    expect(await later).toBe('L')
  })

  it('go on after one that fails', async () => {
    const failing = queue.inTurn('192.0.2.1', () => Promise.reject(new Error('a bug')))
    await expect(failing).rejects.toThrow('a bug')
    expect(queue.hasRoom('192.0.2.1')).toBe(true)
  })

  it('are those of a /64 of IPv6', () => {
    void ask('a', '2001:db8:1:2::1')
    void ask('b', '2001:db8:1:2:3:4:5:6')
    expect([queue.hasRoom('2001:db8:1:2::9'), queue.hasRoom('2001:db8:1:3::9')]).toEqual([false, true])
  })
})
