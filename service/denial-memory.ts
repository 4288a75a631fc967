import NodeCache from 'node-cache'
import type { Refusal } from './decision.js'

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
    return this.#young.get<Denial>(key) ?? this.#old.get<Denial>(key)
  }

  set(key: string, denial: Denial): void {
    this.renew()
    this.#young.set(key, denial)
  }

  delete(key: string): void {
    this.#young.del(key)
    this.#old.del(key)
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

function emptyCache(): NodeCache {
  return new NodeCache({ stdTTL: 0, checkperiod: 0, useClones: false })
}
