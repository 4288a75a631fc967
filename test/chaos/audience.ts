import { Agent, get, type RequestOptions } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import type { Stage } from './stage.js'

/** `known`: admitted before; `refused`: with a bad token, refused before; `new`: comes with a good token. */
export type Kind = 'known' | 'refused' | 'new'

export interface Seen {
  readonly kind: Kind
  /** 0 for a connection that broke off. */
  readonly status: number
  /** When it was asked, by performance.now(). */
  readonly atMs: number
  readonly ms: number
}

const KNOWN = 200
const REFUSED = 20
const SEGMENTS = 5
/** Between two requests of one viewer, as with a target duration of 4 s. */
const PAUSE_MS = 4_000
const NEW_PER_SECOND = 20

/** Viewers who behave as players do: the playlist with the token that they came with, then segments without it. */
export class Audience {
  seen: Seen[] = []
  #isOver = false
  readonly #loops: Promise<void>[] = []
  readonly #agent = new Agent({ keepAlive: true })
  readonly #stage: Stage
  #newcomers = 0

  constructor(stage: Stage) {
    this.#stage = stage
  }

  /** Everybody comes in, or is refused, and then goes on as long as it takes. */
  async begin(): Promise<void> {
    const arrivals: Promise<void>[] = []
    for (let viewer = 0; viewer < KNOWN + REFUSED; viewer++) {
      const kind = viewer < KNOWN ? 'known' : 'refused'
      const token = kind === 'known' ? this.#stage.middleware.issueToken() : `bad${viewer}`
      arrivals.push(this.#ask(kind, `viewer/${viewer}`, `index.m3u8?token=${token}`))
      this.#loops.push(this.#watch(kind, viewer, token))
    }
    await Promise.all(arrivals)
    this.#loops.push(this.#arrive())
  }

  async end(): Promise<void> {
    this.#isOver = true
    await Promise.all(this.#loops)
    this.#agent.destroy()
  }

  async #watch(kind: Kind, viewer: number, token: string): Promise<void> {
    // Spread over the pause, from the first round on.
    await delay((PAUSE_MS * (viewer % 50)) / 50 + 500)
    for (let round = 0; !this.#isOver; round++) {
      const isPlaylist = kind === 'refused' || round % 2 === 0
      const file = isPlaylist ? `index.m3u8?token=${token}` : `low/${round % SEGMENTS}.ts`
      await this.#ask(kind, `viewer/${viewer}`, file)
      await delay(PAUSE_MS / 2)
    }
  }

  async #arrive(): Promise<void> {
    const pending = new Set<Promise<void>>()
    while (!this.#isOver) {
      const token = this.#stage.middleware.issueToken()
      const asked = this.#ask('new', `new/${this.#newcomers++}`, `index.m3u8?token=${token}`)
      pending.add(asked.finally(() => pending.delete(asked)))
      await delay(1_000 / NEW_PER_SECOND)
    }
    await Promise.all(pending)
  }

  async #ask(kind: Kind, userAgent: string, file: string): Promise<void> {
    const begin = performance.now()
    const address = `${this.#stage.site}/play/a001/${file}`
    // Each at an address of his own, as far as this machine's loopback has them.
    const options = {
      agent: this.#agent,
      headers: { 'User-Agent': userAgent },
      localAddress: addressOf(userAgent),
    }
    const status = await statusOf(address, options)
    this.seen.push({ kind, status, atMs: begin, ms: performance.now() - begin })
  }
}

/** As every player does, asks again where a connection that was kept open turns out to be closed (RFC 9112, 9.3.1). */
function statusOf(address: string, options: RequestOptions): Promise<number> {
  return new Promise((resolve) => {
    const request = get(address, options, (response) => {
      response.resume()
      response.once('close', () => resolve(response.complete ? response.statusCode! : 0))
    })
    request.once('error', () => resolve(request.reusedSocket ? statusOf(address, options) : 0))
  })
}

function addressOf(userAgent: string): string {
  const [, kind = '', number = 0] = /^(\w+)\/(\d+)$/.exec(userAgent) ?? []
  return `127.${kind === 'new' ? 1 : 0}.${Math.floor(Number(number) / 250)}.${(Number(number) % 250) + 1}`
}
