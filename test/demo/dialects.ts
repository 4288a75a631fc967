import { randomBytes } from 'node:crypto'
import type { BackendType } from '../../service/config.js'

/** What the demo's middleware answers to a question. */
export interface DemoAnswer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
}

/** One middleware's way of making and judging tokens, as strict as the real one. */
export interface DemoDialect {
  /** Where it is asked, below the portal's address. */
  readonly path: string
  issueToken(): string
  /** @param token the query's last `token`, decoded; undefined for none */
  answer(token: string | undefined): DemoAnswer
}

const DENY: DemoAnswer = { status: 403 }
const NAMED: DemoAnswer = { status: 200, headers: { 'X-Session-Name': 'demo-viewer' } }

/** @param now milliseconds */
export function createDialect(type: BackendType, now: () => number): DemoDialect {
  switch (type) {
    case 'http':
      return {
        path: '',
        issueToken: () => 'demo',
        answer: (token) => (token === 'demo' ? NAMED : token === undefined ? { status: 401 } : DENY),
      }
    case 'ministra': {
      const tokens = tokensFor(5_000, now)
      const allow: DemoAnswer = {
        status: 200,
        headers: { 'X-AuthDuration': '36000', 'X-UserId': '1001', 'X-Max-Sessions': '1', 'X-Unique': 'true' },
      }
      return {
        path: '/server/api/chk_flussonic_tmp_link.php',
        issueToken: () => tokens.issue(),
        answer: (token) => (tokens.isLive(token) ? allow : DENY),
      }
    }
    case 'iptvportal': {
      const tokens = tokensFor(3_600_000, now)
      return {
        path: '/auth/arescrypt/',
        issueToken: () => tokens.issue(),
        answer: (token) => (tokens.isLive(token) ? NAMED : DENY),
      }
    }
    case 'smarty': {
      const tokens = tokensFor(24 * 3_600_000, now)
      return {
        path: '/tvmiddleware/api/streamservice/token/check/',
        issueToken: () => tokens.issue(),
        answer: (token) => (tokens.isLive(token) && tokens.spend(token) ? NAMED : DENY),
      }
    }
  }
}

/** Tokens that die a time after they were made. */
function tokensFor(lifeMs: number, now: () => number) {
  const madeAt = new Map<string, number>()
  return {
    issue(): string {
      const token = randomBytes(12).toString('hex')
      madeAt.set(token, now())
      return token
    },
    isLive: (token: string | undefined): token is string =>
      token !== undefined && now() - (madeAt.get(token) ?? -Infinity) < lifeMs,
    spend: (token: string) => madeAt.delete(token),
  }
}
