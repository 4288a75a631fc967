import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { FairQueue, type Turn } from '../../../../service/backends/guard/fair-queue.js'

let limit: number
let isHeld: boolean
let queue: FairQueue
/** Who has had his turn, in order. */
let turns: string[]

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] })
  limit = 2
  isHeld = false
  turns = []
  queue = new FairQueue({
    limit: () => (isHeld ? 0 : limit),
    waitMs: 3_000,
    isHeld: () => isHeld,
    heldMs: 4_000,
    now: Date.now,
  })
})
afterEach(() => vi.useRealTimers())

/** Somebody at an IP address; `name` is noted when it is his turn. */
function enter(clientIp: string, name = clientIp): Promise<Turn> {
  return queue.enter(clientIp).then((turn) => {
    if (turn === 'taken') turns.push(name)
    return turn
  })
}
const settle = () => vi.advanceTimersByTimeAsync(0)

describe('turns', () => {
  it('are so many at once, of which one network has half, and the next comes with the end of one', async () => {
    for (const ip of ['192.0.2.1', '192.0.2.1', '192.0.2.2', '192.0.2.3']) void enter(ip)
    await settle()
    expect([turns, queue.isFull]).toEqual([['192.0.2.1', '192.0.2.2'], true])
    queue.leave('192.0.2.2')
    await settle()
    expect(turns).toEqual(['192.0.2.1', '192.0.2.2', '192.0.2.3'])
    queue.leave('192.0.2.3')
    // The second of one who has a place already.
    await settle()
    expect([turns.length, queue.isFull]).toEqual([3, false])
    queue.leave('192.0.2.1')
    await settle()
    expect(turns.at(-1)).toBe('192.0.2.1')
  })

  it('of a network without one of late come before all others, however many those are', async () => {
    limit = 1
    for (let number = 0; number < 20; number++) void enter('192.0.2.1', `flood${number}`)
    void enter('192.0.2.2', 'honest')
    await settle()
    queue.leave('192.0.2.1')
    void enter('192.0.2.3', 'late, and honest')
    await settle()
    queue.leave('192.0.2.2')
    await settle()
    expect(turns).toEqual(['flood0', 'honest', 'late, and honest'])
  })

  it('go from network to network, not from request to request', async () => {
    limit = 1
    for (const name of ['a1', 'a2', 'a3', 'b1', 'b2'])
      void enter(name[0] === 'a' ? '192.0.2.1' : '192.0.2.2', name)
    for (let turn = 0; turn < 5; turn++) {
      await settle()
      queue.leave(turns.at(-1)![0] === 'a' ? '192.0.2.1' : '192.0.2.2')
    }
    expect(turns).toEqual(['a1', 'a2', 'b1', 'a3', 'b2'])
  })

  it('are not to be had sooner by asking one by one', async () => {
    limit = 1
    void enter('192.0.2.1')
    await settle()
    void enter('192.0.2.2')
    queue.leave('192.0.2.1')
    await settle()
    void enter('192.0.2.1', 'again')
    void enter('192.0.2.3')
    queue.leave('192.0.2.2')
    await settle()
    expect(turns).toEqual(['192.0.2.1', '192.0.2.2', '192.0.2.3'])
    queue.leave('192.0.2.3')
    await settle()
    expect(turns.at(-1)).toBe('again')
    queue.leave('192.0.2.1')
    // After ten seconds that is forgotten.
    await vi.advanceTimersByTimeAsync(10_001)
    void enter('192.0.2.4')
    void enter('192.0.2.1', 'new again')
    void enter('192.0.2.5')
    await settle()
    queue.leave('192.0.2.4')
    await settle()
    expect(turns.at(-1)).toBe('new again')
  })

  it('are late after their time, and leave no gap', async () => {
    limit = 1
    void enter('192.0.2.1')
    const late = enter('192.0.2.2')
    await vi.advanceTimersByTimeAsync(2_000)
    void enter('192.0.2.3')
    await vi.advanceTimersByTimeAsync(1_000)
    expect(await late).toBe('late')
    queue.leave('192.0.2.1')
    await settle()
    expect(turns).toEqual(['192.0.2.1', '192.0.2.3'])
  })

  it('can be lent to others, and not to another of the same network', async () => {
    limit = 1
    for (const ip of ['192.0.2.1', '192.0.2.1', '192.0.2.2']) void enter(ip)
    void enter('192.0.2.3')
    void enter('192.0.2.4')
    await settle()
    queue.lend()
    await settle()
    // The one that is lent, and one more.
    expect(turns).toEqual(['192.0.2.1', '192.0.2.2', '192.0.2.3'])
    queue.leave('192.0.2.1', true)
    queue.leave('192.0.2.2')
    await settle()
    expect([turns.length, queue.isFull]).toEqual([3, true])
    queue.leave('192.0.2.3')
    await settle()
    expect(turns.at(-1)).toBe('192.0.2.4')
  })

  it('are waited for longer while there are none, but are not taken after that time', async () => {
    isHeld = true
    const early = enter('192.0.2.1')
    await vi.advanceTimersByTimeAsync(2_000)
    const later = enter('192.0.2.2')
    await vi.advanceTimersByTimeAsync(1_500)
    isHeld = false
    queue.deal()
    expect([await early, await later]).toEqual(['late', 'taken'])
    isHeld = true
    const told = enter('192.0.2.3')
    await vi.advanceTimersByTimeAsync(6_000)
    queue.close()
    expect(await told).toBe('closed')
    const never = enter('192.0.2.4')
    await vi.advanceTimersByTimeAsync(7_000)
    expect(await never).toBe('late')
  })

  it('are not for a network in which nobody waits any more', async () => {
    limit = 1
    void enter('192.0.2.9')
    void enter('192.0.2.1')
    const second = enter('192.0.2.1')
    queue.leave('192.0.2.9')
    // The first of the network has his turn, by which it counts as old, and the second gives up.
    await vi.advanceTimersByTimeAsync(3_000)
    expect(await second).toBe('late')
    queue.leave('192.0.2.1')
    void enter('192.0.2.2')
    await settle()
    expect(turns).toEqual(['192.0.2.9', '192.0.2.1', '192.0.2.2'])
  })

  it('are for nobody any more when it is closed, and for those who come later', async () => {
    limit = 1
    void enter('192.0.2.1')
    const waiting = [enter('192.0.2.1'), enter('192.0.2.2'), enter('192.0.2.3')]
    queue.close()
    expect(await Promise.all(waiting)).toEqual(['closed', 'closed', 'closed'])
    queue.leave('192.0.2.1')
    expect(await enter('192.0.2.2')).toBe('taken')
  })

  it('come with a limit that grows, and with none there is nobody’s', async () => {
    limit = 0
    for (const ip of ['192.0.2.1', '192.0.2.2', '192.0.2.3']) void enter(ip)
    await settle()
    expect([turns, queue.hasCapacity('192.0.2.1')]).toEqual([[], false])
    limit = 2
    queue.deal()
    await settle()
    expect(turns).toEqual(['192.0.2.1', '192.0.2.2'])
  })

  it('of one network are waited for by a thousand at most', async () => {
    limit = 1
    const all = Array.from({ length: 1_102 }, () => queue.enter('192.0.2.1'))
    await settle()
    const settled = await Promise.all(all.map((one) => Promise.race([one, Promise.resolve('waits')])))
    expect(settled.filter((turn) => turn === 'late')).toHaveLength(101)
  })

  it('are those of a /56 of IPv6', async () => {
    limit = 4
    for (const ip of ['2001:db8:1:2::1', '2001:db8:1:ff:3:4:5:6', '2001:db8:1::9', '2001:db8:1:100::1'])
      void enter(ip)
    await settle()
    expect(turns).toEqual(['2001:db8:1:2::1', '2001:db8:1:ff:3:4:5:6', '2001:db8:1:100::1'])
  })
})
