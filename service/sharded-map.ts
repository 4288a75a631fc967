import { randomBytes } from 'node:crypto'

const SHARDS = 256

/**
 * A Map for millions of entries. One Map of that size stops the world for more than 100 ms whenever it grows, and
 * again after every million deletions; of 256 small ones each does so by itself, in less than a millisecond.
 */
export class ShardedMap<V> {
  readonly #shards: Map<string, V>[] = Array.from({ length: SHARDS }, () => new Map<string, V>())
  /** Another one each time: viewers choose a part of the keys, and would fill a single shard. */
  readonly #seed = randomBytes(4).readInt32LE()
  #size = 0

  get size(): number {
    return this.#size
  }

  get(key: string): V | undefined {
    return this.#shard(key).get(key)
  }

  set(key: string, value: V): void {
    const shard = this.#shard(key)
    this.#size -= shard.size
    shard.set(key, value)
    this.#size += shard.size
  }

  delete(key: string): void {
    if (this.#shard(key).delete(key)) this.#size--
  }

  /** What it is made of, one after the other. */
  shards(): readonly ReadonlyMap<string, V>[] {
    return this.#shards
  }

  // Over the whole key: keys of one kind of player are alike in all but a few characters, wherever those stand. A
  // product alone carries upwards only (FNV-1a lets keys be chosen that meet under one seed in twenty); the shift brings
  // what is high in the seed down to where the next character and the choice of a shard see it. The factor is 2^32 over
  // the golden ratio (Knuth, The Art of Computer Programming 3, 6.4).
  #shard(key: string): Map<string, V> {
    let hash = this.#seed
    for (let at = 0; at < key.length; at++) {
      hash = Math.imul(hash ^ key.charCodeAt(at), 0x9e3779b1)
      hash ^= hash >>> 15
    }
    return this.#shards[hash & (SHARDS - 1)]!
  }
}
