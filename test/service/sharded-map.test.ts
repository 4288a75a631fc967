import { expect, it } from 'vitest'
import { ShardedMap } from '../../service/sharded-map.js'

it('no choice of keys fills one part of it: a pass would stop the world, and so would its growth', () => {
  const map = new ShardedMap<number>()
  let count = 0
  for (let number = 0; count < 5_000; number++) {
    const key = `token=${number}`
    if (knownHash(key) % 256 === 7 || knownHash(key) >>> 24 === 7) map.set(key, count++)
  }
  expect(map.size).toBe(5_000)
  expect(Math.max(...map.shards().map((shard) => shard.size))).toBeLessThan(250)
})

/** FNV-1a as it is published. */
function knownHash(text: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
  return hash >>> 0
}
