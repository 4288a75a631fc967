import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { setStage } from './stage.js'
import { addressOf, Viewers, type Seen } from './viewers.js'
import { WAYS } from './ways.js'

/*
 * One siege in a process of its own: `node siege.js '{"way":0,"addresses":1,"door":"allow","seconds":14}'`. Prints what came
 * of it as JSON.
 */

export interface Order {
  readonly way: number
  readonly addresses: number
  readonly door: 'allow' | 'deny'
  /** How long it lasts. */
  readonly seconds: number
  readonly isHoled: boolean
}

export interface Outcome {
  /** Worthless requests sent, how many of them had media in return, and how many had no answer. */
  readonly sent: number
  readonly served: number
  readonly unanswered: number
  /** Those who watch: requests that were not answered with media. */
  readonly interrupted: number
  readonly newcomers: number
  /** Newcomers admitted within BACKEND_TIMEOUT; what the others got, by status. */
  readonly admitted: number
  readonly others: Readonly<Record<string, number>>
  readonly rechecks: number
  /** From the end of a subscription to the first refusal; null where there was none. */
  readonly outAfterMs: number | null
  readonly outages: number
  readonly crashes: number
}

/** BACKEND_TIMEOUT's default. */
const DEADLINE_MS = 3_000

const SUBSCRIBERS = 20
const NEWCOMERS_EACH_MS = 250
/** Loopback has addresses for each party: who watches, who is new, who attacks. */
const PARTY = { subscribers: 2, newcomers: 3, attackers: 4 }

const order = JSON.parse(process.argv[2]!) as Order
const way = WAYS[order.way]!
if (way.isPortless) {
  // In a network of its own, which begins with nothing.
  execFileSync('ip', ['link', 'set', 'lo', 'up'])
  writeFileSync('/proc/sys/net/ipv4/ip_local_port_range', '20000 20400')
  writeFileSync('/proc/sys/net/ipv4/tcp_tw_reuse', '0')
}
const holed = order.isHoled ? { ...way.stage, ...way.hole } : way.stage
const stage = await setStage({ ...holed, door: order.door })
try {
  process.stdout.write(`${JSON.stringify(await besiege())}\n`)
} finally {
  await stage.stop()
}
process.exit(0)

async function besiege(): Promise<Outcome> {
  const honest = new Viewers(stage.port)
  const thief = new Viewers(stage.port)
  const subscribers = way.isAtNight ? [] : Array.from({ length: SUBSCRIBERS }, (_, at) => at)
  const watch = (at: number, query = '') =>
    honest.ask(addressOf(PARTY.subscribers, at), `/play/a001/index.m3u8${query}`)
  for (const at of subscribers) {
    const { status } = await watch(at, `?token=good${at}`)
    if (status !== 200) throw new Error(`a subscriber was not admitted: ${status}`)
  }

  for (let visitor = 0; visitor < (way.visitors ?? 0); visitor++) {
    await honest.ask(addressOf(PARTY.newcomers, visitor), `/play/a001/index.m3u8?token=bad-visitor${visitor}`)
    await delay(1_050)
  }

  const siege = { isOver: false }
  const began = performance.now()
  const counts = { sent: 0, served: 0, unanswered: 0, interrupted: 0 }
  const count = ({ status, bytes }: Pick<Seen, 'status' | 'bytes'>) => {
    counts.sent++
    if (status === 0) counts.unanswered++
    if ((status === 200 || status === 206) && bytes > 0) counts.served++
  }
  let outAfterMs: number | null = null
  const [ended, ...others] = subscribers
  const watching = others.map(async (at) => {
    await delay(at * 50)
    while (!siege.isOver) {
      if ((await watch(at)).status !== 200) counts.interrupted++
      await delay(1_000)
    }
  })
  if (ended !== undefined) {
    await stage.revoke(`good${ended}`)
    watching.push(
      (async () => {
        while (!siege.isOver && outAfterMs === null) {
          if ((await watch(ended)).status === 403) outAfterMs = Math.round(performance.now() - began)
          await delay(200)
        }
      })(),
    )
  }
  const newcomers: Promise<Seen>[] = []
  const coming = (async () => {
    for (let at = 0; !siege.isOver && !way.isAtNight; at++) {
      newcomers.push(honest.ask(addressOf(PARTY.newcomers, at), `/play/b002/index.m3u8?token=good-new${at}`))
      await delay(NEWCOMERS_EACH_MS)
    }
  })()
  const attacking = way.attack({
    addresses: Array.from({ length: order.addresses }, (_, at) => addressOf(PARTY.attackers, at)),
    port: stage.port,
    count,
    isOver: () => siege.isOver,
    async ask(address, target, userAgent = 'thief/1.0') {
      const seen = await thief.ask(address, target, userAgent)
      count(seen)
      return seen
    },
  })
  await delay(order.seconds * 1_000)
  siege.isOver = true
  await Promise.all([...watching, coming, attacking])
  const came = await Promise.all(newcomers)
  const isAdmitted = ({ status, ms }: Seen) => status === 200 && ms <= DEADLINE_MS
  const rest: Record<string, number> = {}
  for (const seen of came.filter((one) => !isAdmitted(one))) {
    const what = seen.status === 200 ? 'late' : String(seen.status || 'nothing')
    rest[what] = (rest[what] ?? 0) + 1
  }
  honest.close()
  thief.close()
  const { rechecks, outages, crashes } = stage.told
  return {
    ...counts,
    newcomers: came.length,
    admitted: came.filter(isAdmitted).length,
    others: rest,
    rechecks,
    outAfterMs,
    outages,
    crashes,
  }
}
