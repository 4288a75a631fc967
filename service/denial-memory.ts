import NodeCache from 'node-cache'
import type { Refusal } from './decision.js'
import { digestOf } from './digest.js'

/** A backend's refusal, remembered for one session key. */
export interface Denial {
  readonly refusal: Refusal
  /** Until then it is answered without asking; after that it only stands in for a backend that is unavailable. */
  readonly freshUntilMs: number
}

export interface DenialMemoryOptions {
  /** A denial is kept for at least so long and at most twice as long, in milliseconds. */
  readonly keepMs: number
  /** Most denials kept. */
  readonly maxDenials: number
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number
  /** The older half has been dropped. */
  readonly onRenew: () => void
}

/**
 * Denials, small and short-lived, in two generations: when the young one is full or old it takes the place of the old
 * one. node-cache is used without its own expiry, which walks all keys at once, and without its limit, which throws.
 */
export class DenialMemory {
  #young = emptyCache()
  #old = emptyCache()
  #youngSinceMs: number
  readonly #options: DenialMemoryOptions

  constructor(options: DenialMemoryOptions) {
    this.#options = options
    this.#youngSinceMs = options.now()
  }

  get(key: string): Denial | undefined {
    this.renew()
    const name = nameOf(key)
    return this.#young.get<Denial>(name) ?? this.#old.get<Denial>(name)
  }

  set(key: string, denial: Denial): void {
    this.renew()
    this.#young.set(nameOf(key), denial)
  }

  delete(key: string): void {
    const name = nameOf(key)
    this.#young.del(name)
    this.#old.del(name)
  }

  /** Drops the old generation when it is time to. */
  renew(): void {
    const { now, keepMs, maxDenials, onRenew } = this.#options
    const isFull = this.#young.getStats().keys >= maxDenials / 2
    if (!isFull && now() - this.#youngSinceMs <= keepMs) return
    this.#old = this.#young
    this.#young = emptyCache()
    this.#youngSinceMs = now()
    onRenew()
  }
}

/** A token may be of 8 KB, and bad ones come by the hundred thousand. */
function nameOf(key: string): string {
  return digestOf(key).toString('latin1')
}

function emptyCache(): NodeCache {
  return new NodeCache({ stdTTL: 0, checkperiod: 0, useClones: false })
}
