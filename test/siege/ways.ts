import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { Hole } from './holes.js'
import type { StageOptions } from './stage.js'
import type { Seen } from './viewers.js'

/** What an attacker has. */
export interface Attacker {
  readonly addresses: readonly string[]
  readonly port: number
  /** Asks for media with a token that no backend admits, and counts it. */
  readonly ask: (address: string, target: string, userAgent?: string) => Promise<Seen>
  /** Counts what came over a connection of the attacker's own. */
  readonly count: (seen: Pick<Seen, 'status' | 'bytes'>) => void
  /** Whether the siege is over. */
  readonly isOver: () => boolean
}

/** One way to bring about what lets viewers in. */
export interface Way {
  readonly name: string
  readonly stage?: StageOptions
  /** Nobody watches, and nobody comes. */
  readonly isAtNight?: boolean
  /** So many come with a bad token before it begins, a second apart. */
  readonly visitors?: number
  /** The backend can answer nobody meanwhile: what honest viewers get is told, and not judged. */
  readonly isExhausting?: boolean
  /** The hole that shows that the way is looked for; a change to nginx's configuration, or a name in holes.ts. */
  readonly hole: Hole | NonNullable<StageOptions['changes']>
  /** Needs a network of its own, with few ports. */
  readonly isPortless?: boolean
  attack(attacker: Attacker): Promise<void>
}

const PLAYLIST = '/play/a001/index.m3u8'
const SEGMENT = '/play/a001/low/0.ts'

let number = 0
const worthless = (words = '', path = PLAYLIST) => `${path}?token=bad${number++}${words}`

/** Each address asks on and on, so many requests at a time. */
async function flood(
  { addresses, ask, isOver }: Pick<Attacker, 'addresses' | 'ask' | 'isOver'>,
  each: number,
  target: () => string,
  pauseMs = 0,
): Promise<void> {
  const loops = addresses.flatMap((address) =>
    Array.from({ length: each }, async () => {
      while (!isOver()) {
        await ask(address, target())
        if (pauseMs > 0) await delay(pauseMs)
      }
    }),
  )
  await Promise.all(loops)
}

/** As many requests as given, from all addresses in turn, at the same moment and over connections of their own. */
async function burst(
  { addresses, port, count }: Attacker,
  size: number,
  target: () => string,
): Promise<void> {
  const sockets = Array.from({ length: size }, (_, at) => open(addresses[at % addresses.length]!, port))
  await Promise.all(sockets.map(({ ready }) => ready))
  const ended = sockets.map(({ socket }) => readReply(socket))
  for (const { socket } of sockets) {
    socket.write(
      `GET ${target()} HTTP/1.1\r\nHost: x\r\nUser-Agent: thief\r\nConnection: close\r\n\r\n`,
      'latin1',
    )
  }
  for (const seen of await Promise.all(ended)) count(seen)
}

function open(localAddress: string, port: number) {
  const socket = connect({ port, host: '127.0.0.1', localAddress })
  socket.on('error', () => {})
  return { socket, ready: Promise.race([once(socket, 'connect'), once(socket, 'close')]) }
}

async function readReply(socket: Socket): Promise<Pick<Seen, 'status' | 'bytes'>> {
  let text = ''
  socket.setEncoding('latin1').on('data', (more: string) => (text += more))
  socket.setTimeout(15_000, () => socket.destroy())
  if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve))
  const [head = '', ...body] = text.split('\r\n\r\n')
  return { status: Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1] ?? 0), bytes: body.join('').length }
}

/** What `@hls_auth_down` would be without a condition. */
const ALWAYS_OPEN = [
  ['hls-auth/location.conf', 'location @hls_auth_down {', 'location @hls_auth_down {\n    return 204;'],
] as const
/** nginx that gives up sooner than the kernel tries a lost connection again. */
const HASTY = [
  ['hls-auth/location.conf', 'proxy_connect_timeout 2s;', 'proxy_connect_timeout 20ms;'],
] as const
/** nginx that does not wait for an answer. */
const IMPATIENT = [['hls-auth/location.conf', 'proxy_read_timeout 10s;', 'proxy_read_timeout 2ms;']] as const
const ONE_WORKER = ['nginx.conf', 'worker_processes auto;', 'worker_processes 1;'] as const

const BREAKING = ['500', '502', '503', '429', 'reset', 'half', 'garbage'].map((word) => `&do=${word}`)
const breaking = () => worthless(BREAKING[number % BREAKING.length])

export const WAYS: readonly Way[] = [
  {
    name: 'worthless requests at the same moment, over new connections',
    hole: [...ALWAYS_OPEN, ...HASTY],
    async attack(attacker) {
      while (!attacker.isOver()) await burst(attacker, 1_500, worthless)
    },
  },
  {
    name: 'connections full of half a request, and some that go on',
    stage: { changes: [ONE_WORKER, ['nginx.conf', 'worker_connections 4096;', 'worker_connections 512;']] },
    hole: [ONE_WORKER, ['nginx.conf', 'worker_connections 4096;', 'worker_connections 512;'], ...ALWAYS_OPEN],
    isExhausting: true,
    async attack({ addresses, port, count, isOver }) {
      const half = `GET ${worthless()} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n`
      while (!isOver()) {
        const sockets = Array.from({ length: 500 }, (_, at) => open(addresses[at % addresses.length]!, port))
        await Promise.all(sockets.map(({ ready }) => ready))
        const ended = sockets.map(({ socket }) => readReply(socket))
        for (const { socket } of sockets) socket.write(half)
        await delay(300)
        for (const { socket } of sockets.slice(0, 60)) socket.write('\r\n')
        for (const seen of await Promise.all(ended.slice(0, 60))) count(seen)
        for (const { socket } of sockets) socket.destroy()
      }
    },
  },
  {
    name: "refusals that nginx remembers, with Debian's 1,024 files",
    stage: {
      nginxFiles: 1_024,
      changes: [
        ['nginx.conf', 'worker_connections 4096;', 'worker_connections 768;'],
        ['nginx.conf', 'http {\n', 'http {\n    open_file_cache max=10000 inactive=60s;\n'],
      ],
    },
    hole: [
      ['nginx.conf', 'worker_connections 4096;', 'worker_connections 768;'],
      ['nginx.conf', 'http {\n', 'http {\n    open_file_cache max=10000 inactive=60s;\n'],
      ...ALWAYS_OPEN,
    ],
    async attack({ addresses, ask, isOver }) {
      const targets = Array.from({ length: 1_100 }, () => worthless())
      for (let round = 0; !isOver(); round++) {
        for (let at = 0; at < targets.length && !isOver(); at += 40) {
          await Promise.all(
            targets.slice(at, at + 40).map((target, i) => ask(addresses[i % addresses.length]!, target)),
          )
        }
      }
    },
  },
  {
    name: 'bursts, with few ports left between nginx and the service',
    isPortless: true,
    hole: [...ALWAYS_OPEN, ['hls-auth/upstream.conf', 'keepalive 2048;', 'keepalive 1;']],
    async attack(attacker) {
      while (!attacker.isOver()) {
        await burst(attacker, 300, worthless)
        await delay(100)
      }
    },
  },
  ...['/(.+)/.*\\.(?:ts|m3u8)$', '^/play/((?:[a-z0-9]+[-_]?)+)/'].map((pattern): Way => ({
    name: `a path of 8 KB against \`CHANNEL_PATTERN=${pattern.replaceAll('|', '\\|')}\``,
    stage: { env: { CHANNEL_PATTERN: pattern } },
    hole: [...ALWAYS_OPEN, ...IMPATIENT],
    attack: (attacker) =>
      flood(
        attacker,
        2,
        () => `/play/${number++ % 2 === 0 ? 'a1-'.repeat(2_600) : `${'a/'.repeat(3_900)}x`}?token=bad`,
      ),
  })),
  {
    name: 'worthless requests, on and on',
    hole: [...ALWAYS_OPEN, ...IMPATIENT],
    attack: (attacker) => flood(attacker, Math.ceil(64 / attacker.addresses.length), worthless),
  },
  {
    name: 'everything long: 8 KB of token, path and User-Agent',
    hole: [...ALWAYS_OPEN, ...IMPATIENT],
    attack: ({ addresses, ask, isOver }) =>
      flood(
        { addresses, isOver, ask: (address, target) => ask(address, target, 'x'.repeat(7_900)) },
        4,
        () =>
          number % 2 === 0
            ? worthless('x'.repeat(7_000))
            : `/play/a001/${'x'.repeat(7_000)}?token=bad${number++}`,
      ),
  },
  {
    name: 'a token so long that a login page repeats it in 24 KB of headers',
    hole: 'viewers make outages',
    attack: (attacker) => flood(attacker, 3, () => worthless(`${'/'.repeat(1_500)}&do=login`), 50),
  },
  {
    name: 'the same behind a web server that says 502 of it',
    hole: 'viewers make outages',
    attack: (attacker) => flood(attacker, 3, () => worthless(`${'/'.repeat(1_500)}&do=gateway`), 50),
  },
  {
    name: 'a query that breaks the script (500, 502, 503, 429, a reset, half a head, no HTTP)',
    hole: 'viewers make outages',
    attack: (attacker) => flood(attacker, 3, breaking, 50),
  },
  {
    name: 'the same at night, when nobody watches',
    isAtNight: true,
    hole: 'viewers make outages',
    attack: (attacker) => flood(attacker, 3, breaking, 50),
  },
  {
    name: 'the same at night, where the script fails without a token, too',
    isAtNight: true,
    stage: { backendEnv: { SIEGE_BARE: '500' } },
    hole: 'viewers make outages',
    // A backend that has never decided about anybody is as good as none.
    visitors: 4,
    attack: (attacker) => flood(attacker, 3, breaking, 50),
  },
  {
    name: 'one that breaks it once, and media without a token after that',
    hole: 'viewers make outages',
    attack: ({ addresses, ask, isOver }) =>
      flood(
        {
          addresses,
          isOver,
          async ask(address: string) {
            await ask(address, worthless('&do=500'))
            return ask(address, SEGMENT)
          },
        },
        2,
        worthless,
        50,
      ),
  },
  {
    name: 'queries that hang',
    hole: 'viewers make outages',
    attack: (attacker) =>
      flood(attacker, Math.ceil(80 / attacker.addresses.length), () => worthless('&do=hang')),
  },
  {
    name: 'queries that take longer than BACKEND_SLOW',
    hole: 'viewers make outages',
    attack: (attacker) =>
      flood(attacker, Math.ceil(80 / attacker.addresses.length), () => worthless('&do=slow')),
  },
  {
    name: 'worthless requests to PHP with four workers',
    stage: { backend: 'php' },
    hole: 'nobody waits for a turn',
    attack: (attacker) => flood(attacker, Math.ceil(80 / attacker.addresses.length), worthless),
  },
  {
    name: 'queries that hang in PHP with four workers',
    stage: { backend: 'php' },
    hole: 'viewers make outages',
    isExhausting: true,
    attack: (attacker) =>
      flood(attacker, Math.ceil(16 / attacker.addresses.length), () => worthless('&do=hang')),
  },
  {
    name: 'worthless requests where a web server allows 50 a second',
    stage: { backendEnv: { SIEGE_RATE: '50' } },
    hole: 'viewers make outages',
    isExhausting: true,
    attack: (attacker) => flood(attacker, Math.ceil(80 / attacker.addresses.length), worthless),
  },
  {
    name: 'answers of the backend that are followed by another one',
    stage: { backendEnv: { SIEGE_STRAY: '1' } },
    hole: 'connections are kept',
    attack: (attacker) => flood(attacker, Math.ceil(32 / attacker.addresses.length), worthless),
  },
]
