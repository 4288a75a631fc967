import { monitorEventLoopDelay } from 'node:perf_hooks'
import { createApp } from '../../service/app.js'
import { createAuthorizer } from '../../service/authorizer.js'
import { ChannelPattern } from '../../service/channel-pattern.js'
import { now } from '../../service/clock.js'
import type { Backend } from '../../service/backends/backend.js'
import { GuardedBackend } from '../../service/backends/guard/guarded-backend.js'
import type { Answer } from '../../service/decision.js'
import { BlockList } from '../../service/block-list.js'
import { startServer } from '../../service/server.js'
import { NO_ARCHIVE } from '../../service/archive/session-archive.js'
import { SessionStore } from '../../service/session-store.js'

/*
 * The service's parts with N sessions in them, opened before it listens: `node crowd-server.js N`. Prints port and
 * bytes of memory a session as JSON; `/stall` tells the longest stall of the event loop since the last time, in
 * milliseconds.
 */

const count = Number(process.argv[2])
const never = () => {}
const allow: Answer = { outcome: 'allow', status: 200, name: 'viewer', authDurationMs: undefined }
const backend: Backend = {
  credentialParams: undefined,
  recheckMs: Infinity,
  async ask(_, onReleased) {
    onReleased?.()
    return allow
  },
  askBare: async () => allow,
  close: async () => {},
}
const idleMs = 3_600_000
const store = new SessionStore({
  idleMs,
  denialMs: idleMs,
  maxSessions: 2_000_000,
  maxDenials: 100_000,
  now,
  archive: NO_ARCHIVE,
})
const authorizer = createAuthorizer({
  backend: new GuardedBackend({
    backend,
    ownBackend: backend,
    timeoutMs: 3_000,
    slowMs: 1_000,
    isAskedAgain: true,
    mostQuestions: 64,
    learnt: undefined,
    onLearnt: never,
    onDown: never,
    onUp: never,
    now,
    random: Math.random,
  }),
  store,
  blocks: new BlockList(now, NO_ARCHIVE),
  random: Math.random,
  whenBackendDown: 'deny',
  channelPattern: new ChannelPattern('^/play/([^/]+)/'),
  credentialParams: undefined,
  tokenlessRequests: 'session',
  sessionRecheckMs: undefined,
  denyTtlMs: 5_000,
  edgeTtlMs: 10_000,
  now,
  onDecision: never,
  onCrowd: never,
  onUnreadQuery: never,
  onError: never,
})

// Strings of their own for each viewer, as a parser of HTTP makes them.
const own = (text: string) => Buffer.from(text).toString('latin1')

const before = process.memoryUsage().rss
for (let viewer = 0; viewer < count; viewer++) {
  await authorizer.authorize({
    host: own('live.example.com'),
    path: own(`/play/a${String(viewer % 500).padStart(3, '0')}/low/1.ts`),
    query: own(`token=good${viewer}`),
    clientIp: own(
      `10.${Math.floor(viewer / 65_536) % 256}.${Math.floor(viewer / 256) % 256}.${viewer % 256}`,
    ),
    userAgent: own('Mozilla/5.0 (SMART-TV; Linux; Tizen 6.0) AppleWebKit/537.36'),
  })
}
const bytesEach = (process.memoryUsage().rss - before) / count

const loop = monitorEventLoopDelay({ resolution: 1 })
loop.enable()
const app = createApp({
  authorizer,
  onForeignRequest: never,
  onReply: never,
  onError: never,
})
app.get('/stall', (c) => {
  const worstMs = loop.max / 1e6
  loop.reset()
  return c.json(worstMs)
})
const { port } = await startServer(app, { host: '127.0.0.1', port: 0 })
process.stdout.write(`${JSON.stringify({ port, bytesEach })}\n`)
