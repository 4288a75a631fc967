import dns, { type LookupAddress } from 'node:dns'
import type { LookupFunction } from 'node:net'

/** How long an address is good for, in milliseconds: nobody notices it, and a name server is asked once a second at most. */
const FRESH_MS = 1_000

type Callback = Parameters<LookupFunction>[2]

/**
 * Looks names up as Node does, but only one at a time and once a second: each question has a connection of its own, and a
 * flood of questions is to be none for the name server. What fails is not remembered.
 */
export class NameCache {
  readonly #known = new Map<string, { readonly addresses: LookupAddress[]; readonly untilMs: number }>()
  readonly #asked = new Map<string, { readonly replies: Callback[]; readonly sinceMs: number }>()
  readonly #now: () => number

  /** @param now milliseconds of a clock that never goes back */
  constructor(now: () => number) {
    this.#now = now
  }

  /** For the option of this name of `net.connect`. */
  readonly lookup: LookupFunction = (hostname, { all, ...options }, callback) => {
    const reply: Callback = (error, addresses) => {
      if (error !== null || all) {
        callback(error, addresses)
        return
      }
      const [first] = addresses as LookupAddress[]
      callback(null, first!.address, first!.family)
    }
    const key = `${hostname} ${JSON.stringify(options)}`
    const known = this.#known.get(key)
    if (known !== undefined && this.#now() < known.untilMs) {
      // As a lookup does it: never at once.
      setImmediate(reply, null, known.addresses)
      return
    }
    const asked = this.#asked.get(key)
    // One that has had no answer for so long may never have one.
    if (asked !== undefined && this.#now() - asked.sinceMs < FRESH_MS) {
      asked.replies.push(reply)
      return
    }
    const replies = [reply]
    const own = { replies, sinceMs: this.#now() }
    this.#asked.set(key, own)
    dns.lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (this.#asked.get(key) === own) this.#asked.delete(key)
      if (error === null) this.#known.set(key, { addresses, untilMs: this.#now() + FRESH_MS })
      for (const one of replies) one(error, addresses)
    })
  }
}
