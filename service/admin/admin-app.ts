import { Hono } from 'hono'
import { parseDuration } from '../duration.js'
import type { Block } from '../block-list.js'
import { textFromHeader } from '../header-text.js'
import type { Session } from '../session.js'
import type { Census, Rounds } from './census.js'
import { refusalOf } from './guard.js'
import type { PageFile } from './page-files.js'
import { SessionLookup } from './session-lookup.js'
import { parseSearch, SessionSearch } from './session-search.js'
import { isoTime, viewOf, type Moment } from './session-view.js'

const MAX_BLOCK_MS = 30 * 24 * 3_600_000

/** With so many passes through all sessions ahead of it a search is refused. */
const MAX_WAITING = 10

export interface AdminOptions {
  /** undefined: only from this machine. */
  readonly token: string | undefined
  readonly moment: () => Moment
  readonly rounds: Rounds
  readonly status: (census: Census, moment: Moment) => object
  /**
   * @param blockMs 0 for no block
   * @returns false where another service has the session
   */
  readonly close: (session: Session, blockMs: number) => boolean
  readonly blocks: () => Iterable<Block>
  /** False where there is no block of that session. */
  readonly lift: (sessionId: string) => boolean
  readonly metrics: () => Promise<{ readonly text: string; readonly contentType: string }>
  readonly page: ReadonlyMap<string, PageFile>
  readonly onError: (error: Error) => void
}

/** The operator's own routes: the sessions page, what it shows as JSON, and metrics. */
export function createAdminApp(options: AdminOptions) {
  const { rounds, moment } = options
  const lookup = new SessionLookup(rounds)
  const app = new Hono()

  app.use(async (c, next) => {
    const { req } = c
    const refusal = refusalOf(
      {
        authorization: req.header('authorization'),
        host: req.header('host'),
        origin: req.header('origin'),
        fetchSite: req.header('sec-fetch-site'),
        fetchDest: req.header('sec-fetch-dest'),
      },
      options.token,
    )
    if (refusal === 401) {
      c.header('WWW-Authenticate', 'Basic realm="nginx-hls-auth", charset="UTF-8"')
      return c.json({ error: 'ADMIN_TOKEN is needed, as a Bearer token or as the password' }, 401)
    }
    if (refusal === 403) return c.json(NOT_FROM_THERE, 403)
    await next()
    c.header('X-Content-Type-Options', 'nosniff')
    c.header('Referrer-Policy', 'no-referrer')
    if (!c.res.headers.has('Cache-Control')) c.header('Cache-Control', 'no-store')
  })

  app.get('/sessions', async (c) => {
    const search = parseSearch(c.req.query())
    if (typeof search === 'string') return c.json({ error: search }, 400)
    if (rounds.waiting >= MAX_WAITING) return c.json(TOO_MANY, 503, { 'Retry-After': '1' })
    const found = new SessionSearch(search)
    await rounds.each((session) => found.visit(session), c.req.raw.signal)
    const { total, sessions } = found.result()
    const now = moment()
    const views = sessions.map((session) => viewOf(session, now))
    return c.json({ total, offset: search.offset, limit: search.limit, sessions: views })
  })

  app.get('/sessions/:id', async (c) => {
    const session = await lookup.find(c.req.param('id'))
    return session ? c.json(viewOf(session, moment())) : c.json(NO_SESSION, 404)
  })

  app.delete('/sessions/:id', async (c) => {
    const block = c.req.query('block') ?? '0'
    const blockMs = parseDuration(block)
    if (blockMs === undefined || blockMs > MAX_BLOCK_MS)
      return c.json({ error: `block="${block}": must be a duration up to 30d, such as 10m` }, 400)
    const session = await lookup.find(c.req.param('id'))
    if (session === undefined) return c.json(NO_SESSION, 404)
    const isOurs = options.close(session, blockMs)
    if (!isOurs && blockMs === 0) return c.json(ELSEWHERE, 409)
    const now = moment()
    const blockedUntil = blockMs === 0 ? null : isoTime(now.nowMs + blockMs, now)
    return c.json({ closed: true, blocked_until: blockedUntil })
  })

  app.get('/blocks', (c) => {
    const now = moment()
    const blocks = Array.from(options.blocks(), (block) => ({
      client_id: block.sessionId,
      channel_id: block.channelId,
      addr: block.clientIp,
      host: textFromHeader(block.host),
      user_agent: textFromHeader(block.userAgent),
      blocked_until: isoTime(block.untilMs, now),
    }))
    return c.json({ blocks })
  })

  app.delete('/blocks/:id', (c) =>
    options.lift(c.req.param('id')) ? c.json({ lifted: true }) : c.json({ error: 'no such block' }, 404),
  )

  app.get('/status', async (c) => c.json(options.status(await rounds.census(), moment())))

  app.get('/metrics', async (c) => {
    const { text, contentType } = await options.metrics()
    return c.body(text, 200, { 'Content-Type': contentType })
  })

  app.get('*', (c) => {
    const file = options.page.get(c.req.path)
    if (file === undefined) return c.json({ error: 'nothing here' }, 404)
    return c.body(file.body, 200, {
      'Content-Type': file.type,
      'Cache-Control': 'no-cache',
      'Content-Security-Policy': CONTENT_SECURITY_POLICY,
    })
  })

  app.onError((error, c) => {
    options.onError(error)
    return c.json({ error: 'a bug: the log has its stack' }, 500)
  })
  return app
}

const NOT_FROM_THERE = {
  error:
    'only its own page may ask, whose Host a proxy must pass on; without ADMIN_TOKEN only http://127.0.0.1 or http://localhost',
}
const TOO_MANY = { error: 'too many searches at once: ask again later' }
const ELSEWHERE = { error: 'another service has this session by now: close it there' }
const NO_SESSION = { error: 'no session with this id: it has ended' }

const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')
