import { withoutSecrets } from '../config.js'
import { isAboutRequest, type Answer, type Failure } from '../decision.js'
import { formatDuration } from '../duration.js'
import { headerFromText, textFromHeader } from '../header-text.js'
import { replyTo } from '../reply.js'
import { recheckAfterMs } from '../session.js'
import { adviceFor, withoutDecision, type Advice } from './advice.js'
import type { Exchanged, Finding } from './check.js'
import { createEchoMask, describedQuery, maskedQuery } from './mask.js'
import { pathFaultOf } from './path-fault.js'

type Headers = Readonly<Record<string, string>>

/** A finding as it may be shown: credentials masked. What `--json` prints; its names stay. */
export interface Report {
  readonly outcome: 'allow' | 'deny' | 'unavailable'
  readonly address: {
    readonly host: string
    readonly path: string
    readonly query: string
    readonly client_ip: string
    readonly user_agent: string
  }
  readonly backend: { readonly type: string; readonly url: string }
  readonly channel: string | null
  readonly credentials: string | null
  /** null where the path was refused without a question */
  readonly question: { readonly method: 'GET'; readonly url: string; readonly headers: Headers } | null
  readonly answer: {
    readonly status: number | null
    readonly failure: Failure | null
    /** The system's own name for a failure, such as ECONNREFUSED. */
    readonly error_code: string | null
    readonly headers: Headers
    readonly milliseconds: number
  } | null
  readonly decision: {
    readonly allowed: boolean
    readonly source: string
    readonly reason: string
    /** How long an admission holds before the backend is asked again; null for never, or no admission by the backend. */
    readonly recheck_seconds: number | null
    /** How long a refusal is answered without asking; null where it is not. */
    readonly deny_seconds: number | null
  }
  /** What nginx gets. */
  readonly reply: { readonly status: number; readonly headers: Headers }
  readonly advice: readonly Advice[]
}

/** What an answer's headers say that counts. */
const TOLD = [
  'Content-Type',
  'X-Session-Name',
  'X-UserId',
  'X-AuthDuration',
  'Location',
  'Retry-After',
  'WWW-Authenticate',
]

/**
 * Explains a finding.
 *
 * @param notes what became of the address before it was asked about
 */
export function explain(finding: Finding, notes: readonly Advice[] = []): Report {
  const { request, config, channelId, credentials, asked, decision } = finding
  const { backendUrl } = config
  const { password, search } = backendUrl
  const unecho = createEchoMask([request.query, search.slice(1)], password)
  const answer = asked?.event.answer
  const told = asked ? toldIn(asked.exchanged, unecho) : {}
  const { status, headers } = replyTo(decision)
  return {
    outcome: answer?.outcome ?? 'deny',
    address: {
      host: request.host,
      path: printable(request.path),
      query: maskedQuery(request.query),
      client_ip: request.clientIp,
      user_agent: textFromHeader(request.userAgent),
    },
    backend: { type: config.backendType, url: withoutSecrets(backendUrl.href) },
    channel: channelId === undefined ? null : printable(channelId),
    credentials: credentials === '' ? null : describedQuery(credentials),
    question: asked ? questionOf(asked.exchanged) : null,
    answer: asked ? answerOf(asked.exchanged, told) : null,
    decision: {
      allowed: decision.allowed,
      source: asked?.event.verdict.source ?? 'path',
      ...reasonOf(finding, answer),
    },
    reply: { status, headers: mapValues(headers, (value) => unecho(textFromHeader(value))) },
    advice: [...adviceFor(finding, told.Location), ...notes],
  }
}

function questionOf({ origin, target, headers }: Exchanged): Report['question'] {
  const [path = '', ...query] = target.split('?')
  const url = origin + path + (query.length > 0 ? `?${maskedQuery(query.join('?'))}` : '')
  const shown = mapValues(headers, (value, name) =>
    name.toLowerCase() === 'authorization' ? value.replace(/ .*/s, ' …') : textFromHeader(value),
  )
  return { method: 'GET', url, headers: { Host: new URL(origin).host, ...shown } }
}

function answerOf({ outcome, elapsedMs }: Exchanged, headers: Headers): Report['answer'] {
  const milliseconds = Math.round(elapsedMs)
  return 'failure' in outcome
    ? { status: null, failure: outcome.failure, error_code: outcome.code ?? null, headers, milliseconds }
    : { status: outcome.status, failure: null, error_code: null, headers, milliseconds }
}

function toldIn({ origin, target, outcome }: Exchanged, unecho: (text: string) => string): Headers {
  if ('failure' in outcome) return {}
  const told = TOLD.flatMap((name) => {
    const value = outcome.header(name.toLowerCase())
    if (value === undefined) return []
    const text = textFromHeader(value)
    return [[name, unecho(name === 'Location' ? placeOf(text, origin + target) : text)] as const]
  })
  return Object.fromEntries(told)
}

/** Where a redirect leads, without its query. */
function placeOf(location: string, base: string): string {
  return withoutSecrets(URL.canParse(location, base) ? new URL(location, base).href : location)
}

type Reason = Pick<Report['decision'], 'reason' | 'recheck_seconds' | 'deny_seconds'>

function reasonOf(finding: Finding, answer: Answer | undefined): Reason {
  const { config, decision } = finding
  const because = (reason: string): Reason => ({ reason, recheck_seconds: null, deny_seconds: null })
  if (answer === undefined) {
    return because(`${whatOfPath(finding)}; the backend is not asked`)
  }
  if (answer.outcome === 'unavailable') {
    return because(`the backend gives no decision: ${withoutDecision(finding)}`)
  }
  if (answer.outcome === 'allow') {
    const heldMs = recheckAfterMs(answer.authDurationMs, finding.recheckMs)
    return {
      ...because(`the backend answered ${answer.status}; ${holds(answer.authDurationMs, heldMs, finding)}`),
      recheck_seconds: heldMs === Infinity ? null : heldMs / 1_000,
    }
  }
  const became =
    decision.allowed || decision.refusal === answer.status ? '' : `, which becomes ${decision.refusal}`
  const whom = isAboutRequest(answer) ? ' to this very request' : ''
  const repeated = `repeated${whom} without asking for ${formatDuration(config.denyTtlMs)} (DENY_TTL)`
  return {
    ...because(`the backend answered ${answer.status}${became}; ${repeated}`),
    deny_seconds: config.denyTtlMs / 1_000,
  }
}

function whatOfPath({ request, decodedPath }: Finding): string {
  if (decodedPath !== undefined) return "the path is no channel's"
  return pathFaultOf(request.path)?.kind === 'too_long'
    ? 'the path is too long'
    : 'the path is not in normal form'
}

function holds(authDurationMs: number | undefined, heldMs: number, { config }: Finding): string {
  const byDefault =
    config.sessionRecheckMs === undefined ? `${config.backendType}'s default` : 'SESSION_RECHECK'
  if (heldMs === Infinity) return `it holds as long as the session (${byDefault})`
  let source = byDefault
  if (authDurationMs === heldMs) source = 'X-AuthDuration'
  else if (authDurationMs !== undefined) {
    source = `X-AuthDuration of ${formatDuration(authDurationMs)}, ${authDurationMs < heldMs ? 'raised' : 'cut'}`
  }
  return `it holds for ${formatDuration(heldMs)} (${source}), then the backend is asked again`
}

function mapValues(headers: Headers, map: (value: string, name: string) => string): Headers {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, map(value, name)]))
}

/** Bytes or text with nothing in it that moves a terminal's cursor. */
function printable(text: string): string {
  return textFromHeader(headerFromText(text))
}
