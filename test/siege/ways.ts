import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
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
  /** The hole that shows that the way is looked for: changes to nginx's configuration, and a name in holes.ts. */
  readonly hole: Pick<StageOptions, 'hole' | 'changes'>
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
const ONE_SMALL_WORKER = [
  ['nginx.conf', 'worker_processes auto;', 'worker_processes 1;'],
  ['nginx.conf', 'worker_connections 4096;', 'worker_connections 512;'],
] as const
/** An nginx of Debian's, with a line that many operators have. */
const DEBIAN = [
  ['nginx.conf', 'worker_connections 4096;', 'worker_connections 768;'],
  ['nginx.conf', 'http {\n', 'http {\n    open_file_cache max=10000 inactive=60s;\n'],
] as const
/** As many questions of two workers as fit into 400 ports: 20 times fewer than there are. */
const FEW_CONNECTIONS = [
  ['nginx.conf', 'worker_processes auto;', 'worker_processes 2;'],
  ['nginx.conf', 'worker_connections 4096;', 'worker_connections 300;'],
] as const

/** What a pattern that can go back and forth takes long for. */
const HARD = [330, 660, 1_000, 2_600, 3_900].flatMap((times) => [
  'a1-'.repeat(times).slice(0, 7_900),
  `${'a/'.repeat(times)}x`,
])

const BREAKING = ['500', '502', '503', '429', 'reset', 'half', 'garbage'].map((word) => `&do=${word}`)
const breaking = () => worthless(BREAKING[number % BREAKING.length])

export const WAYS: readonly Way[] = [
  {
    name: 'worthless requests at the same moment, over new connections',
    hole: { changes: [...ALWAYS_OPEN, ...HASTY] },
    async attack(attacker) {
      while (!attacker.isOver()) await burst(attacker, 1_500, worthless)
    },
  },
  {
    name: 'connections full of half a request, and some that go on',
    stage: { changes: ONE_SMALL_WORKER },
    hole: { changes: [...ONE_SMALL_WORKER, ...ALWAYS_OPEN] },
    isExhausting: true,
    async attack({ addresses, port, count, isOver }) {
      const half = `GET ${worthless()} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n`
      while (!isOver()) {
        // A few at a time, so that nginx does not close them, until there are none left for others.
        const sockets: Socket[] = []
        while (sockets.filter(({ closed }) => closed).length < 5 && sockets.length < 600 && !isOver()) {
          for (const address of Array.from({ length: 10 }, (_, at) => addresses[at % addresses.length]!)) {
            const { socket } = open(address, port)
            socket.write(half)
            sockets.push(socket)
          }
          await delay(25)
        }
        const ended = sockets.slice(0, 60).map((socket) => readReply(socket))
        for (const socket of sockets.slice(0, 60)) socket.write('\r\n')
        for (const seen of await Promise.all(ended)) count(seen)
        for (const socket of sockets) socket.destroy()
      }
    },
  },
  {
    name: "refusals that nginx remembers, with Debian's 1,024 files",
    stage: { nginxFiles: 1_024, changes: DEBIAN },
    hole: {
      changes: [
        ...DEBIAN,
        ...ALWAYS_OPEN,
        ['hls-auth/location.conf', 'open_file_cache max=100 inactive=60s;', ''],
        ['nginx.conf', 'worker_processes auto;', 'worker_processes 1;'],
      ],
    },
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
    stage: { changes: [...FEW_CONNECTIONS, ['hls-auth/upstream.conf', 'keepalive 2048;', 'keepalive 150;']] },
    hole: { changes: [...FEW_CONNECTIONS, ['hls-auth/upstream.conf', 'keepalive 2048;', 'keepalive 1;']] },
    async attack(attacker) {
      while (!attacker.isOver()) {
        await burst(attacker, 300, worthless)
        await delay(100)
      }
    },
  },
  ...['/(.+)/.*\\.(?:ts|m3u8)$', '^/play/((?:[a-z0-9]+[-_]?)+)/'].map((pattern): Way => ({
    name: `paths of 1 to 8 KB against \`CHANNEL_PATTERN=${pattern.replaceAll('|', '\\|')}\``,
    stage: { env: { CHANNEL_PATTERN: pattern } },
    hole: { hole: 'patterns backtrack', changes: [...ALWAYS_OPEN, ...IMPATIENT] },
    // While it is busy with them, ordinary ones.
    attack: (attacker) =>
      flood(attacker, 3, () =>
        number % 3 === 0 ? worthless() : `/play/${HARD[number++ % HARD.length]}?token=bad`,
      ),
  })),
  {
    name: 'worthless requests, on and on',
    hole: { changes: [...ALWAYS_OPEN, ...IMPATIENT] },
    attack: (attacker) => flood(attacker, Math.ceil(64 / attacker.addresses.length), worthless),
  },
  {
    name: 'everything long: 8 KB of token, path and User-Agent',
    hole: { changes: [...ALWAYS_OPEN, ...IMPATIENT] },
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
    hole: { hole: 'viewers make outages' },
    attack: (attacker) => flood(attacker, 3, () => worthless(`${'/'.repeat(1_500)}&do=login`), 50),
  },
  {
    name: 'the same behind a web server that says 502 of it',
    hole: { hole: 'viewers make outages' },
    attack: (attacker) => flood(attacker, 3, () => worthless(`${'/'.repeat(1_500)}&do=gateway`), 50),
  },
  {
    name: 'a query that breaks the script (500, 502, 503, 429, a reset, half a head, no HTTP)',
    hole: { hole: 'viewers make outages' },
    attack: (attacker) => flood(attacker, 3, breaking, 50),
  },
  {
    name: 'the same at night, when nobody watches',
    isAtNight: true,
    hole: { hole: 'viewers make outages' },
    attack: (attacker) => flood(attacker, 3, breaking, 50),
  },
  {
    name: 'the same at night, where the script fails without a token, too',
    isAtNight: true,
    stage: { backendEnv: { SIEGE_BARE: '500' } },
    hole: { hole: 'viewers make outages' },
    // A backend that has never decided about anybody is as good as none.
    visitors: 4,
    attack: (attacker) => flood(attacker, 3, breaking, 50),
  },
  {
    name: 'one that breaks it once, and media without a token after that',
    hole: { hole: 'viewers make outages' },
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
    hole: { hole: 'viewers make outages' },
    attack: (attacker) =>
      flood(attacker, Math.ceil(80 / attacker.addresses.length), () => worthless('&do=hang')),
  },
  {
    name: 'queries that take longer than BACKEND_SLOW',
    hole: { hole: 'viewers make outages' },
    attack: (attacker) =>
      flood(attacker, Math.ceil(80 / attacker.addresses.length), () => worthless('&do=slow')),
  },
  {
    name: 'worthless requests to PHP with four workers',
    stage: { backend: 'php' },
    hole: { hole: 'nobody waits for a turn' },
    attack: (attacker) => flood(attacker, Math.ceil(80 / attacker.addresses.length), worthless),
  },
  {
    name: 'queries that hang in PHP with four workers',
    stage: { backend: 'php' },
    hole: { hole: 'viewers make outages' },
    isExhausting: true,
    attack: (attacker) =>
      flood(attacker, Math.ceil(16 / attacker.addresses.length), () => worthless('&do=hang')),
  },
  {
    name: 'worthless requests where a web server allows 50 a second',
    stage: { backendEnv: { SIEGE_RATE: '50' } },
    hole: { hole: 'viewers make outages' },
    isExhausting: true,
    attack: (attacker) => flood(attacker, Math.ceil(80 / attacker.addresses.length), worthless),
  },
  {
    name: 'answers of the backend that are followed by another one',
    stage: { backendEnv: { SIEGE_STRAY: '1' } },
    hole: { hole: 'connections are kept' },
    attack: (attacker) => flood(attacker, Math.ceil(32 / attacker.addresses.length), worthless),
  },
]
