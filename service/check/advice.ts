import { whereRefused } from '../where-refused.js'
import type { Config } from '../config.js'
import { isAboutRequest, type Answer } from '../decision.js'
import { formatDuration } from '../duration.js'
import type { Exchanged, Finding } from './check.js'
import { pathFaultOf, sentenceOf } from './path-fault.js'

/** What an operator should know or do. The code is for programs, and stays. */
export interface Advice {
  readonly code: string
  readonly text: string
}

/** A good middleware's answer takes no longer. */
const GOOD_MS = 100

/** What follows from a finding, most important first. */
export function adviceFor(finding: Finding, location: string | undefined): Advice[] {
  return [
    ...aboutPath(finding),
    ...aboutAnswer(finding, location),
    ...aboutCredentials(finding),
    ...aboutDuration(finding),
  ]
}

function aboutPath({ request, decodedPath, channelId, config }: Finding): Advice[] {
  const fault = pathFaultOf(request.path)
  if (fault) return [{ code: `path_${fault.kind}`, text: sentenceOf(fault) }]
  if (channelId !== undefined) return []
  const { source } = config.channelPattern
  const found = config.channelPattern.channelIn(decodedPath!)
  const text =
    found === undefined
      ? `The path does not match CHANNEL_PATTERN, ${source}: correct the one or the other.`
      : found === ''
        ? `The path matches CHANNEL_PATTERN, ${source}, with nothing in its group: correct the one or the other.`
        : "The channel's name begins or ends with a space, which is lost in a header: rename it."
  return [{ code: 'no_channel', text }]
}

function aboutAnswer(
  { asked, config, credentials, decision }: Finding,
  location: string | undefined,
): Advice[] {
  if (!asked) return []
  const { exchanged, event } = asked
  const { answer } = event
  if (answer.outcome === 'unavailable')
    return [...aboutBlame(decision), aboutFailure(answer, exchanged, config)]
  if (answer.outcome === 'allow') return aboutAdmission(exchanged, config, credentials)
  return [aboutRefusal(answer, exchanged, config, credentials, location)]
}

function aboutBlame({ source }: Finding['decision']): Advice[] {
  if (source !== 'single-failure') return []
  return [
    {
      code: 'fails_alone',
      text: 'It is this question alone that the backend does not answer: look for what is odd about its query or its account.',
    },
  ]
}

function aboutFailure(
  { failure, status }: Answer & { outcome: 'unavailable' },
  { origin, outcome, isNameKnown }: Exchanged,
  config: Config,
): Advice {
  const { host, hostname } = new URL(origin)
  const silentNameServer = {
    code: 'host_not_found',
    text: `The name server does not answer about ${hostname}: mend this machine's DNS, or put an IP address into BACKEND_URL.`,
  }
  const code = 'code' in outcome ? (outcome.code ?? '') : ''
  switch (failure) {
    case 'refused':
      return {
        code: 'connection_refused',
        text: `Nothing listens at ${host}: start the backend, or correct host and port in BACKEND_URL. ${whereRefused(hostname)}`.trim(),
      }
    case 'timeout':
      if (!isNameKnown) return silentNameServer
      return {
        code: 'timeout',
        text: `No answer from ${host} within BACKEND_TIMEOUT, ${formatDuration(config.backendTimeoutMs)}: a firewall drops the question, or the script hangs; look at the script's own log.`,
      }
    case 'dns':
      if (code === 'EAI_AGAIN') return silentNameServer
      return {
        code: 'host_not_found',
        text: `There is no host ${hostname}: correct the name in BACKEND_URL, or this machine's DNS.`,
      }
    case 'tls':
      return { code: 'tls', text: tlsText(host, hostname, code) }
    case 'malformed':
      return {
        code: 'malformed',
        text: `What ${host} answers is not HTTP: another program listens there, or the script prints broken headers; correct the port in BACKEND_URL, or the script.`,
      }
    case 'reset':
      return {
        code: 'connection_reset',
        text: `${host} closed the connection without an answer: the script breaks off (look at its log), or the port wants ${origin.startsWith('https:') ? 'http' : 'https'}:// in BACKEND_URL.`,
      }
    case 'status':
      return status === 429
        ? {
            code: 'too_many_questions',
            text: `${host} limits how often it is asked: take this machine's address out of that limit.`,
          }
        : {
            code: 'server_error',
            text: [502, 503, 504].includes(status!)
              ? `The web server at ${host} is up, but the script behind it does not answer: look at the web server's error log, and start the script again.`
              : `The script at ${host} fails: look at its error log.`,
          }
    default:
      return {
        code: 'network_error',
        text: `${host} cannot be reached${code && ` (${code})`}: look at the network between this machine and the backend.`,
      }
  }
}

function tlsText(host: string, hostname: string, code: string): string {
  const certificate = `The certificate of ${host}`
  switch (code) {
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return `${certificate} is for another name: put into BACKEND_URL the name that it is for.`
    case 'CERT_HAS_EXPIRED':
      return `${certificate} has expired by this machine's clock: set the clock if it is wrong, else renew the certificate.`
    case 'CERT_NOT_YET_VALID':
      return `${certificate} is not valid yet by this machine's clock: set the clock if it is wrong, else install a certificate that is valid now.`
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
      return `${certificate} is signed by nobody that this machine knows (${code}): install one for ${hostname} with its whole chain, or name your authority's file in NODE_EXTRA_CA_CERTS.`
    default:
      return /^ERR_(SSL|TLS)/.test(code)
        ? `${host} does not speak TLS as this service does (${code}): correct the port, or write http:// in BACKEND_URL.`
        : `${certificate} is not accepted (${code}): install another one for ${hostname}.`
  }
}

function aboutAdmission({ outcome }: Exchanged, { backendType }: Config, credentials: string): Advice[] {
  const header = 'header' in outcome ? outcome.header : () => undefined
  const advice: Advice[] = []
  if (credentials === '') {
    advice.push({
      code: 'admitted_without_token',
      text: 'The backend admits who comes without a token: everybody may watch this channel, or the script judges nothing.',
    })
  }
  if (/html/i.test(header('content-type') ?? '') && header('content-length') !== '0') {
    advice.push({
      code: 'html_page',
      text: 'The answer is a page of HTML. PHP calls every answer so, but a login page, which would admit everybody, looks the same: ask once more with a wrong token, which must be refused.',
    })
  }
  if (header('x-authduration') !== undefined && !/^\s*0*[1-9]\d{0,9}\s*$/.test(header('x-authduration')!)) {
    advice.push({
      code: 'bad_auth_duration',
      text: 'X-AuthDuration is no whole number of seconds above zero, and counts as none: correct it in the backend.',
    })
  }
  if (backendType === 'smarty' && credentials !== '') {
    advice.push({
      code: 'token_used_up',
      text: "Smarty's tokens work once, and this one has been used up now: a player needs another.",
    })
  }
  return advice
}

const REFUSED_TOKEN = {
  http: "is it right, still valid, and for this channel, address (--ip) and User-Agent (--ua)? The script's log knows.",
  ministra: "Ministra's tokens die 5 s after they were made, so ask with one that is younger.",
  iptvportal:
    "IPTVportal's keys change once an hour, so ask with a new link, and compare the key in its channel with the one under Keys.",
  smarty: "Smarty's tokens work once, so ask with one that neither a player nor a check has used.",
} as const

function aboutRefusal(
  answer: Answer & { outcome: 'deny' },
  { origin, outcome }: Exchanged,
  { backendType }: Config,
  credentials: string,
  location: string | undefined,
): Advice {
  const { status } = answer
  const account = 'header' in outcome ? outcome.header('www-authenticate') : undefined
  if (status < 400)
    return {
      code: 'redirect',
      text: `The backend sends elsewhere${location === undefined ? '' : `, to ${location}`}, which is not followed: put the address that answers itself into BACKEND_URL; if that is a login page, the script must be open to this machine.`,
    }
  if (status === 404 || status === 405 || status === 410)
    return {
      code: 'wrong_address',
      text: `There is no such script at ${new URL(origin).host}: correct BACKEND_TYPE (now ${backendType}) or the path in BACKEND_URL.`,
    }
  if (isAboutRequest(answer))
    return {
      code: 'request_not_read',
      text: `${
        status === 400 && origin.startsWith('http:')
          ? 'The port wants https:// in BACKEND_URL, or the'
          : 'The'
      } backend cannot read this request (too long, or odd characters): it says nothing about the viewer, whose other requests are asked about anew.`,
    }
  if (status === 407 || (status === 401 && account !== undefined))
    return {
      code: 'account_wanted',
      text: 'The web server wants an account before its script is asked: put user:password@ into BACKEND_URL, or correct it.',
    }
  if (credentials === '')
    return {
      code: 'refused_without_token',
      text: 'The backend refuses who comes without a token, as it should.',
    }
  return { code: 'token_refused', text: `The backend refuses this token: ${REFUSED_TOKEN[backendType]}` }
}

function aboutCredentials({ request, channelId, credentials, credentialParams, config }: Finding): Advice[] {
  if (channelId === undefined || credentials !== '') return []
  const missing =
    request.query === '' || credentialParams === undefined
      ? 'The address has no credentials'
      : `None of the query's parameters is a credential (${credentialParams.join(', ')})`
  const text =
    config.tokenlessRequests === 'session'
      ? "such a request belongs to its viewer's newest session, and the backend is asked only where there is none"
      : 'with TOKENLESS_REQUESTS=backend the backend is asked about it all the same'
  return [{ code: 'no_credentials', text: `${missing}: ${text}.` }]
}

function aboutDuration({ asked, config }: Finding): Advice[] {
  if (!asked || asked.event.answer.outcome === 'unavailable') return []
  const { elapsedMs } = asked.exchanged
  if (elapsedMs <= GOOD_MS) return []
  const isOutage = config.backendSlowMs > 0 && elapsedMs > config.backendSlowMs
  const consequence = isOutage
    ? `, and longer than BACKEND_SLOW, ${formatDuration(config.backendSlowMs)}: three such of four count as an outage`
    : ''
  return [
    {
      code: isOutage ? 'slow_as_an_outage' : 'slow',
      text: `${Math.round(elapsedMs)} ms is slow${consequence}; a good middleware needs less than ${GOOD_MS} ms. A first connection is in it: ask once more, then look at the script and its database.`,
    },
  ]
}

/** What becomes of a viewer about whom the backend gives no decision. */
export function withoutDecision({ decision, config }: Finding): string {
  if (decision.source === 'single-failure')
    return 'it answers a question about nobody, so it is up: new viewers like this one are refused, known ones keep their decision'
  const whenDown =
    config.whenBackendDown === 'allow'
      ? 'new viewers are let in (WHEN_BACKEND_DOWN=allow)'
      : 'new viewers are refused (WHEN_BACKEND_DOWN=deny)'
  return `${whenDown}, known ones keep their decision`
}
