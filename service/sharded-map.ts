import { randomBytes } from 'node:crypto'

const SHARDS = 256

/** Another one each time: viewers choose a part of the keys, and would fill a single shard. */
const SEED = randomBytes(4).readInt32LE()

/**
 * A Map for millions of entries. One Map of that size stops the world for more than 100 ms whenever it grows, and
 * again after every million deletions; of 256 small ones each does so by itself, in less than a millisecond.
 */
export class ShardedMap<V> {
  readonly #shards: Map<string, V>[] = Array.from({ length: SHARDS }, () => new Map<string, V>())
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

  // FNV-1a (http://www.isthe.com/chongo/tech/comp/fnv/), over the whole key: keys of one kind of player are alike in
  // all but a few characters, wherever those stand. Of the seed's four bytes all have a part in the highest one.
  #shard(key: string): Map<string, V> {
    let hash = SEED
    for (let at = 0; at < key.length; at++) hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193)
    return this.#shards[hash >>> 24]!
  }
}
