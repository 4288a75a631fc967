import type { Logger } from 'pino'
import { startAdmin } from './admin/admin.js'
import { Metrics } from './admin/metrics.js'
import { Recent } from './admin/recent.js'
import { createApp } from './app.js'
import { createAuthorizer } from './authorizer.js'
import { createExchange } from './backends/exchange.js'
import { GuardedBackend, MAX_WAIT_MS, ownTimeoutMs } from './backends/guard/guarded-backend.js'
import { createBackend } from './backends/index.js'
import { BlockList } from './block-list.js'
import { createBugLog } from './bug-log.js'
import { now } from './clock.js'
import { withoutSecrets, type Config } from './config.js'
import { createDecisionLog } from './decision-log.js'
import { startEvents } from './events/events.js'
import { FirstContact } from './first-contact.js'
import { tellAll } from './observer.js'
import { OutageAccount } from './outage-account.js'
import { startServer } from './server.js'
import { openArchive, type OpenedArchive } from './archive/lmdb-archive.js'
import { NO_ARCHIVE } from './archive/session-archive.js'
import { questionOf } from './questions.js'
import type { Session } from './session.js'
import { SessionStore } from './session-store.js'
import { createUnreadQueryLog } from './unread-query-log.js'
import { versionOfPackage } from './version.js'

// Idle sessions are forgotten a few at a time, so that no request waits for it.
const TICK_MS = 100
const SWEEP_SESSIONS = 500

const VERSION = versionOfPackage()

const CROWD_REPORT_MS = 10_000

/** The service, started. */
export interface RunningService {
  readonly port: number
  /** undefined where there is no admin interface. */
  readonly adminPort: number | undefined
  /** Stops listening, finishes what is in flight and ends. */
  stop(): Promise<void>
}

/**
 * Puts the parts together.
 *
 * @throws the listen error of {@link startServer}
 */
export async function startService(config: Config, log: Logger): Promise<RunningService> {
  // A viewer whom nginx answers by itself is seen here before EDGE_TTL has passed, to nginx's second.
  const idleMs = config.sessionIdleMs + config.edgeTtlMs + 1_000
  const { archive, sessions, blocks: kept } = openStateDir(config, idleMs, log)
  const { maxSessions, maxDenials } = config
  const account = new OutageAccount({ ...config, log, now })
  const recent = new Recent(now)
  const metrics = new Metrics(VERSION, {
    sessions: () => store.sessionCount,
    questionsInFlight: () => authorizer.questionsInFlight,
    isBreakerOpen: () => backend.isDown,
  })
  const events = startEvents(config, log)
  const logging = { onDecision: createDecisionLog(log) }
  const witnesses = { onClosed: (session: Session) => backend.forget(questionOf(session)) }
  const observer = tellAll([logging, account, recent, metrics, witnesses, ...events.observers])
  const denialMs = Math.max(idleMs, config.denyTtlMs + 2 * config.edgeTtlMs)
  const store = new SessionStore({ ...observer, idleMs, denialMs, maxSessions, maxDenials, now, archive })
  const blocks = new BlockList(now, archive)
  const onError = createBugLog(log, now)
  const adapter = (timeoutMs: number, lingerMs?: number) =>
    createBackend(config.backendType, config.backendUrl, createExchange({ timeoutMs, lingerMs }))
  const adapters = {
    viewers: adapter(config.backendTimeoutMs),
    own: adapter(ownTimeoutMs(config.backendTimeoutMs), 0),
  }
  const backend = new GuardedBackend({
    backend: adapters.viewers,
    ownBackend: adapters.own,
    timeoutMs: config.backendTimeoutMs,
    slowMs: config.backendSlowMs,
    isAskedAgain: (config.sessionRecheckMs ?? adapters.viewers.recheckMs) !== Infinity,
    mostQuestions: config.backendConnections,
    learnt: undefined,
    onLearnt() {},
    onDown: observer.onOutage,
    onUp: () => account.end(),
    now,
    random: Math.random,
  })
  for (const session of sessions) {
    store.restore(session)
    if (session.source === 'backend') backend.remember(questionOf(session))
  }
  let crowdReportedAtMs = -Infinity
  const onCrowd = (clientIp: string) => {
    // A flood of requests is no flood of lines.
    if (now() - crowdReportedAtMs < CROWD_REPORT_MS) return
    crowdReportedAtMs = now()
    log.warn({ ip: clientIp }, 'refused: too many new viewers at once')
  }
  const authorizer = createAuthorizer({
    ...config,
    backend,
    store,
    blocks,
    now,
    random: Math.random,
    onDecision: observer.onDecision,
    onCrowd,
    onUnreadQuery: createUnreadQueryLog({ ...config, log, now }),
    onError,
  })
  authorizer.closings.closeBlocked(kept)
  let isForeignReported = false
  const app = createApp({
    authorizer,
    onForeignRequest() {
      if (isForeignReported) return
      isForeignReported = true
      log.error(
        'refused a request without X-Original-URI or X-Real-IP: nginx must include hls-auth/location.conf',
      )
    },
    onReply: observer.onReply,
    onError,
  })
  const server = await startServer(app, config)
  const firstContact = new FirstContact({ config, backend, log, now })
  firstContact.tick()
  const tick = setInterval(() => {
    store.sweep(SWEEP_SESSIONS)
    account.tick()
    firstContact.tick()
    events.tick()
    authorizer.closings.closeBlocked()
    authorizer.checkUndecided()
  }, TICK_MS)
  const admin = await startAdmin({
    config,
    log,
    version: VERSION,
    store,
    blocks,
    authorizer,
    backend,
    account,
    recent,
    metrics,
    onError,
  })
  log.info(
    {
      host: config.host,
      port: server.port,
      admin: admin.address,
      type: config.backendType,
      url: withoutSecrets(config.backendUrl.href),
      whenBackendDown: config.whenBackendDown,
      sessions: store.sessionCount,
    },
    'listening',
  )
  return {
    port: server.port,
    adminPort: admin.port,
    async stop() {
      clearInterval(tick)
      log.info({ sessions: store.sessionCount, questions: authorizer.questionsInFlight }, 'ending')
      await server.close(MAX_WAIT_MS + 1_000)
      // Re-checks, for which no request waits: a token that works once must not be spent for nothing.
      await authorizer.settled()
      await admin.close()
      await backend.close()
      await archive.close()
      account.settle()
      await events.close()
    },
  }
}

/** Sessions of the last time. A folder that cannot be used costs nothing but them. */
function openStateDir({ stateDir: folder, port }: Config, idleMs: number, log: Logger) {
  const nothing: OpenedArchive = { archive: NO_ARCHIVE, sessions: [], blocks: [] }
  if (folder === undefined) return nothing
  const onFailure = ({ message }: Error) =>
    log.error({ folder, error: message }, 'STATE_DIR cannot be used: sessions will not survive a restart')
  const onRecovery = () => log.warn({ folder }, 'STATE_DIR can be used again')
  try {
    const instance = String(port)
    return openArchive({ folder, instance, now, wallNow: Date.now, idleMs, onFailure, onRecovery })
  } catch (error) {
    onFailure(error as Error)
    return nothing
  }
}
