import type { Logger } from 'pino'
import type { Authorizer } from '../authorizer.js'
import type { GuardedBackend } from '../backends/guard/guarded-backend.js'
import type { BlockList } from '../block-list.js'
import { loggedChannel } from '../channel.js'
import { now } from '../clock.js'
import type { Config } from '../config.js'
import type { OutageAccount } from '../outage-account.js'
import { startServer, type RunningServer } from '../server.js'
import { partsOf, type Session } from '../session.js'
import type { SessionStore } from '../session-store.js'
import { createAdminApp } from './admin-app.js'
import { Rounds } from './census.js'
import type { Metrics } from './metrics.js'
import { readPage } from './page-files.js'
import type { Recent } from './recent.js'
import { statusOf } from './status.js'

export interface AdminParts {
  readonly config: Config
  readonly log: Logger
  readonly version: string
  readonly store: SessionStore
  readonly blocks: BlockList
  readonly authorizer: Authorizer
  readonly backend: Pick<GuardedBackend, 'neverAnswered'>
  readonly account: OutageAccount
  readonly recent: Recent
  readonly metrics: Metrics
  /** A bug. */
  readonly onError: (error: Error) => void
}

/** The admin interface, started or not. */
export interface RunningAdmin {
  readonly address: string | undefined
  readonly port: number | undefined
  close(): Promise<void>
}

const CLOSE_GRACE_MS = 500

/** Whoever reaches the port can open some, without a token: never so many that none are left for viewers. */
const MAX_CONNECTIONS = 100

/** Listens for the operator. Where it cannot, that is an error in the log: viewers are served all the same. */
export async function startAdmin(parts: AdminParts): Promise<RunningAdmin> {
  const { config, log, metrics } = parts
  const { admin } = config
  if (admin === undefined) return NO_ADMIN
  const { store, blocks, authorizer, account, recent, version } = parts
  const startedAtMs = now()
  const app = createAdminApp({
    token: admin.token,
    moment: () => ({ nowMs: now(), wallMs: Date.now() }),
    rounds: new Rounds(store, now),
    status: (census, moment) =>
      statusOf(
        {
          version,
          config,
          startedAtMs,
          account,
          recent,
          questionsInFlight: () => authorizer.questionsInFlight,
          neverAnswered: () => parts.backend.neverAnswered,
        },
        census,
        moment,
      ),
    close(session, blockMs) {
      const isOurs = authorizer.closings.close(session, blockMs)
      if (isOurs || blockMs > 0)
        log.warn({ ...described(session), blockSeconds: blockMs / 1_000 }, 'closed by an operator')
      return isOurs
    },
    blocks: function* () {
      for (const [, block] of blocks.entries()) yield block
    },
    lift(sessionId) {
      const isLifted = blocks.lift(sessionId)
      if (isLifted) log.warn({ session: sessionId }, 'block lifted by an operator')
      return isLifted
    },
    metrics: async () => ({ text: await metrics.text(), contentType: metrics.contentType }),
    page: readPage(),
    onError: parts.onError,
  })
  let server: RunningServer
  try {
    server = await startServer(app, { ...admin, maxConnections: MAX_CONNECTIONS })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    log.error(
      { host: admin.host, port: admin.port, error: code },
      'no sessions page and no metrics: cannot listen on ADMIN_HOST and ADMIN_PORT',
    )
    return NO_ADMIN
  }
  return {
    address: `${admin.host}:${server.port}`,
    port: server.port,
    close: () => server.close(CLOSE_GRACE_MS),
  }
}

const NO_ADMIN: RunningAdmin = { address: undefined, port: undefined, close: async () => {} }

function described(session: Session) {
  const { channelId, clientIp } = partsOf(session.key)
  return { session: session.id, channel: loggedChannel(channelId), ip: clientIp }
}
