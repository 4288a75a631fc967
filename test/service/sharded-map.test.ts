import { expect, it } from 'vitest'
import { ShardedMap } from '../../service/sharded-map.js'

it('no choice of keys fills one part of it: a pass would stop the world, and so would its growth', () => {
  const keys = keysThatMeet(1_000)
  // Each map has a seed of its own, and none of them may be a bad one.
  const fullest = Array.from({ length: 300 }, () => {
    const map = new ShardedMap<number>()
    for (const [value, key] of keys.entries()) map.set(key, value)
    expect(map.size).toBe(keys.length)
    return Math.max(...map.shards().map((shard) => shard.size))
  })
  // 1,000 keys in 256 parts by chance: about 4 each, and 20 in any of them once in more than a million maps.
  expect(Math.max(...fullest)).toBeLessThan(25)
})

/** Keys that all fall into one part under FNV-1a as it is published, by its lowest byte or by its highest. */
function keysThatMeet(count: number): string[] {
  const keys: string[] = []
  for (let number = 0; keys.length < count; number++) {
    const key = `token=${number}`
    const hash = knownHash(key)
    if (hash % 256 === 7 || hash >>> 24 === 7) keys.push(key)
  }
  return keys
}

/** FNV-1a as it is published. */
function knownHash(text: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
  return hash >>> 0
}
