import { randomBytes } from 'node:crypto'
import { basicAuthorization } from '../basic-authorization.js'
import { headerFromText, safeName } from '../header-text.js'
import type { Answer } from '../decision.js'
import type { Backend, Question } from './backend.js'
import type { Exchange, Outcome } from './exchange.js'

/** In what the middlewares differ that all speak Cesbo Astra's "HTTP Backend". */
export interface Dialect {
  /** Path below the operator's address; empty to take the address as it is. */
  readonly path: string
  readonly credentialParams: readonly string[] | undefined
  readonly recheckMs: number
  /** The viewer's name in an answer that has no X-Session-Name. */
  readonly fallbackName?: (header: Header) => string | undefined
}

/** The name by which a middleware, and its log, can tell the service's own questions from viewers'. */
export const OWN_NAME = 'nginx-hls-auth'

/** A script may rely on the headers: none is missing. */
const NOBODY: Omit<Question, 'sessionId'> = {
  channelId: OWN_NAME,
  clientIp: '127.0.0.1',
  path: '/',
  query: '',
  userAgent: OWN_NAME,
  host: OWN_NAME,
}

type Header = (name: string) => string | undefined

/**
 * Astra's protocol (Cesbo's manual, "HTTP Backend"): a GET with the viewer's query and six headers, answered by
 * a status and, where the middleware knows one, the viewer's X-Session-Name.
 */
export function createAstraBackend(url: URL, dialect: Dialect, exchange: Exchange): Backend {
  const base = targetOf(url, dialect.path)
  const joint = base.includes('?') ? '&' : '?'
  const authorization = basicAuthorization(url)
  const ask = async (question: Question, onReleased?: () => void) => {
    const target = question.query === '' ? base : base + joint + question.query
    const headers = { ...authorization, ...headersOf(question) }
    return answerOf(await exchange.get(url.origin, target, headers, onReleased), dialect)
  }
  return {
    credentialParams: dialect.credentialParams,
    recheckMs: dialect.recheckMs,
    ask,
    askBare: () => ask({ ...NOBODY, sessionId: randomBytes(16).toString('hex') }),
    close: () => exchange.close(),
  }
}

/** The path and query to ask, without the viewer's. An address that ends in the dialect's path is whole. */
function targetOf(url: URL, path: string): string {
  const bare = url.pathname.replace(/\/+$/, '')
  const isWhole = path === '' || bare.endsWith(path.replace(/\/$/, ''))
  return (isWhole ? url.pathname : bare + path) + url.search
}

function headersOf(question: Question): Record<string, string> {
  return {
    'X-Session-ID': question.sessionId,
    'X-Channel-ID': headerFromText(question.channelId),
    'X-Real-IP': question.clientIp,
    'X-Real-Path': question.path,
    ...(question.userAgent === '' ? {} : { 'X-Real-UA': question.userAgent }),
    'X-Real-Host': question.host,
  }
}

function answerOf(outcome: Outcome, dialect: Dialect): Answer {
  if ('failure' in outcome) return { outcome: 'unavailable', failure: outcome.failure, status: undefined }
  const { status, header } = outcome
  // 429 is the backend's own trouble, as 5xx is: it says nothing about the viewer.
  if (status >= 500 || status === 429) return { outcome: 'unavailable', failure: 'status', status }
  if (status < 200 || status >= 300) return { outcome: 'deny', status }
  const name = header('x-session-name') || dialect.fallbackName?.(header) || ''
  return { outcome: 'allow', status, name: safeName(name), authDurationMs: authDuration(header) }
}

/** X-AuthDuration in whole seconds; anything else counts as none. */
function authDuration(header: Header): number | undefined {
  const seconds = header('x-authduration')?.trim()
  return seconds !== undefined && /^0*[1-9]\d{0,9}$/.test(seconds) ? Number(seconds) * 1_000 : undefined
}
