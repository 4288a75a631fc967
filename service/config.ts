import leven from 'leven'
import { ChannelPattern, ChannelPatternError } from './channel-pattern.js'
import { formatDuration, parseDuration } from './duration.js'
import type { WhenBackendDown } from './decision.js'
import { MAX_RECHECK_MS, MIN_RECHECK_MS } from './session.js'

export const BACKEND_TYPES = ['http', 'ministra', 'iptvportal', 'smarty'] as const
export type BackendType = (typeof BACKEND_TYPES)[number]

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/**
 * nginx waits 10 s for an answer (`proxy_read_timeout` in nginx/hls-auth/location.conf); a backend's deadline
 * stays below it, so that the service always answers first.
 */
const MAX_BACKEND_TIMEOUT_MS = 8_000

/** The service's settings; the README's table says what each is for. Durations are milliseconds. */
export interface Config {
  readonly backendType: BackendType
  readonly backendUrl: URL
  readonly backendTimeoutMs: number
  readonly backendSlowMs: number
  readonly backendConnections: number
  readonly whenBackendDown: WhenBackendDown
  readonly channelPattern: ChannelPattern
  /** undefined: what the backend's type reads. */
  readonly credentialParams: readonly string[] | undefined
  readonly tokenlessRequests: 'session' | 'backend'
  readonly sessionIdleMs: number
  /** undefined: the default of the backend's type; Infinity: never. */
  readonly sessionRecheckMs: number | undefined
  readonly denyTtlMs: number
  /** How long nginx may repeat an answer; 0: it asks about each request. */
  readonly edgeTtlMs: number
  /** Most sessions, and most denials, remembered at once. */
  readonly maxSessions: number
  readonly maxDenials: number
  /** Where sessions are kept for the next start; undefined: nowhere. */
  readonly stateDir: string | undefined
  readonly host: string
  readonly port: number
  /** The admin interface; undefined for none. */
  readonly admin:
    { readonly host: string; readonly port: number; readonly token: string | undefined } | undefined
  /** Where openings and closings of sessions are reported; undefined: nowhere. */
  readonly eventsUrl: URL | undefined
  /** Sessions that last less are not reported. */
  readonly eventsMinDurationMs: number
  readonly logLevel: LogLevel
}

export type Environment = Readonly<Record<string, string | undefined>>

/** Every problem of a configuration in one message: the setting, the value seen, what is allowed. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  constructor(problems: readonly string[]) {
    super(`the settings are wrong:\n${problems.map((problem) => `  ${problem}`).join('\n')}`)
  }
}

/** A name that differs by so many characters from a setting's is misspelt; the shorter it is, the more neighbours it has. */
const MISSPELT = { minLength: 8, longFrom: 12, long: 2, short: 1 }

/** How names begin that only this service has: another name that begins so is a setting's, remembered wrongly. */
const FAMILIES = [
  'BACKEND_',
  'WHEN_',
  'CHANNEL_',
  'CREDENTIAL',
  'TOKENLESS',
  'SESSION_',
  'DENY_',
  'EDGE_',
  'MAX_SESSION',
  'MAX_DENI',
  'STATE_DIR',
  'ADMIN_',
  'EVENTS_',
  'LOG_LEVEL',
]

/** Names, with their values, that other programs set and that look like ours. */
const FOREIGN = [
  // Desktops, and systemd for each service.
  /^(?:SESSION_ID|SESSION_MANAGER|STATE_DIRECTORY|CREDENTIALS_DIRECTORY)=/,
  // What Kubernetes says to each container about a service, such as one called backend.
  /_SERVICE_(?:HOST|PORT(?:_\w+)?)=/,
  // The same in words of Docker's, whose links say more.
  /_PORT(?:_\d+_(?:TCP|UDP|SCTP))?=(?:tcp|udp|sctp):/i,
  /_PORT_\d+_(?:TCP|UDP|SCTP)_|_NAME=\/|_ENV_/,
]

/**
 * Reads the settings from the environment. An empty value counts as not set, as compose files pass it. A name that looks
 * like a setting's and is none is a problem too: WHEN_BACKEND_DONW=deny would leave the door open.
 *
 * @throws ConfigError listing all problems
 */
export function parseConfig(env: Environment): Config {
  const problems: string[] = []
  const names = new Set<string>()

  function given(name: string): string | undefined {
    names.add(name)
    return env[name] || undefined
  }

  /** Reports a value; the undefined it returns never leaves parseConfig, which throws. */
  function wrong(name: string, value: string, allowed: string): undefined {
    problems.push(`${name}="${value}": ${allowed}`)
    return undefined
  }

  function read<T>(name: string, fallback: string, parse: (value: string) => T | undefined): T {
    return parse(given(name) ?? fallback) as T
  }

  function oneOf<T extends string>(name: string, fallback: string, allowed: readonly T[]): T {
    return read(name, fallback, (value) =>
      allowed.includes(value as T) ? (value as T) : wrong(name, value, `must be ${either(allowed)}`),
    )
  }

  function duration(name: string, fallback: string, minMs: number, maxMs: number): number {
    return read(name, fallback, (value) => {
      const ms = parseDuration(value)
      const allowed = `must be a duration from ${formatDuration(minMs)} to ${formatDuration(maxMs)}, such as ${fallback}`
      return ms === undefined || ms < minMs || ms > maxMs ? wrong(name, value, allowed) : ms
    })
  }

  function integer(name: string, fallback: string, min: number, max: number, word?: string): number {
    return read(name, fallback, (value) => {
      const number = /^\d+$/.test(value) ? Number(value) : NaN
      const or = word === undefined ? '' : `${word} or `
      return number >= min && number <= max
        ? number
        : wrong(name, value, `must be ${or}a whole number from ${min} to ${max}`)
    })
  }

  function address(name: string, value: string): URL | undefined {
    if (value === '') {
      problems.push(`${name} is not set: must be an http:// or https:// address`)
      return undefined
    }
    const url = URL.canParse(value) ? new URL(value) : undefined
    const isHttp = url?.protocol === 'http:' || url?.protocol === 'https:'
    if (url && isHttp && !value.includes('#')) return url
    return wrong(name, withoutSecrets(value), 'must be an http:// or https:// address without a #')
  }

  function listenHost(name: string): string {
    return read(name, '127.0.0.1', (value) =>
      /^[\w.:-]+$/.test(value)
        ? value
        : wrong(name, value, 'must be an address or a name to listen on, such as 127.0.0.1'),
    )
  }

  function admin(): Config['admin'] {
    const host = listenHost('ADMIN_HOST')
    const port = given('ADMIN_PORT') === 'off' ? undefined : integer('ADMIN_PORT', '9090', 0, 65_535, 'off')
    const token = given('ADMIN_TOKEN')
    // Never shown, wrong or not.
    if (token !== undefined && !/^[\x21-\x7e]{16,}$/.test(token))
      wrong('ADMIN_TOKEN', '…', 'must be at least 16 printable ASCII characters without spaces')
    if (port === undefined) return undefined
    if (token === undefined && host && !isLoopback(host))
      wrong(
        'ADMIN_HOST',
        host,
        'needs an ADMIN_TOKEN, without which only 127.0.0.1, ::1 or localhost is allowed',
      )
    return { host, port, token }
  }

  const config: Config = {
    backendType: oneOf('BACKEND_TYPE', 'http', BACKEND_TYPES),
    backendUrl: read('BACKEND_URL', '', (value) => address('BACKEND_URL', value)),
    backendTimeoutMs: duration('BACKEND_TIMEOUT', '3s', 100, MAX_BACKEND_TIMEOUT_MS),
    backendSlowMs: duration('BACKEND_SLOW', '1s', 0, MAX_BACKEND_TIMEOUT_MS),
    backendConnections: integer('BACKEND_CONNECTIONS', '64', 4, 10_000),
    whenBackendDown: oneOf('WHEN_BACKEND_DOWN', 'allow', ['allow', 'deny']),
    channelPattern: read('CHANNEL_PATTERN', '^/play/([^/]+)/', (value) => {
      try {
        return new ChannelPattern(value)
      } catch (error) {
        if (!(error instanceof ChannelPatternError)) throw error
        return wrong('CHANNEL_PATTERN', value, error.message)
      }
    }),
    credentialParams: read('CREDENTIAL_PARAMS', '', (value) => {
      if (value === '') return undefined
      const names = value.split(',').map((name) => name.trim())
      return names.every((name) => /^[^\s&=#;]+$/.test(name))
        ? names
        : wrong(
            'CREDENTIAL_PARAMS',
            value,
            'must be names of query parameters with commas between, such as token,uid',
          )
    }),
    tokenlessRequests: oneOf('TOKENLESS_REQUESTS', 'session', ['session', 'backend']),
    sessionIdleMs: duration('SESSION_IDLE', '10m', 10_000, 24 * 3_600_000),
    sessionRecheckMs: read('SESSION_RECHECK', '', (value) => {
      if (value === '') return undefined
      const ms = value === 'never' ? Infinity : parseDuration(value)
      return ms === undefined || ms < MIN_RECHECK_MS || (ms > MAX_RECHECK_MS && ms !== Infinity)
        ? wrong('SESSION_RECHECK', value, 'must be never or a duration from 10s to 1d, such as 10m')
        : ms
    }),
    denyTtlMs: duration('DENY_TTL', '5s', 1_000, 600_000),
    edgeTtlMs: duration('EDGE_TTL', '10s', 0, 60_000),
    maxSessions: integer('MAX_SESSIONS', '1000000', 1, 10_000_000),
    maxDenials: integer('MAX_DENIALS', '100000', 2, 10_000_000),
    stateDir: read('STATE_DIR', '/var/lib/nginx-hls-auth', (value) => {
      if (value === 'none') return undefined
      return value.startsWith('/') ? value : wrong('STATE_DIR', value, 'must be none or a folder, from / on')
    }),
    host: listenHost('HOST'),
    port: integer('PORT', '3000', 0, 65_535),
    admin: admin(),
    eventsUrl: read('EVENTS_URL', '', (value) => (value === '' ? undefined : address('EVENTS_URL', value))),
    eventsMinDurationMs: duration('EVENTS_MIN_DURATION', '0', 0, 3_600_000),
    logLevel: oneOf('LOG_LEVEL', 'info', LOG_LEVELS),
  }

  if (config.admin && config.port !== 0 && config.admin.port === config.port)
    wrong('ADMIN_PORT', String(config.port), 'must be another than PORT, or off')
  if (env.BACKEND_SLOW && config.backendSlowMs > config.backendTimeoutMs)
    wrong(
      'BACKEND_SLOW',
      formatDuration(config.backendSlowMs),
      'must not be above BACKEND_TIMEOUT, or 0 for never',
    )
  for (const [other, value] of Object.entries(env)) {
    if (names.has(other) || !value || FOREIGN.some((foreign) => foreign.test(`${other}=${value}`))) continue
    const meant = meantBy(other.toUpperCase(), [...names])
    if (meant.length > 0) problems.push(`${other} is no setting: is ${either(meant)} meant?`)
  }
  if (problems.length > 0) throw new ConfigError(problems)
  return config
}

/** The settings that somebody may have meant by another name: one that is misspelt, or else those of its family. */
function meantBy(other: string, names: readonly string[]): readonly string[] {
  const meant = names.find((name) => isMisspelt(other, name))
  if (meant !== undefined) return [meant]
  const family = FAMILIES.find((beginning) => other.startsWith(beginning))?.replace(/_$/, '')
  return family === undefined ? [] : names.filter((name) => name.includes(family))
}

function isMisspelt(other: string, name: string): boolean {
  if (name.length < MISSPELT.minLength) return false
  const most = name.length < MISSPELT.longFrom ? MISSPELT.short : MISSPELT.long
  return leven(other, name, { maxDistance: most + 1 }) <= most
}

/** Whether a name or an address to listen on, or one that a browser asks, is reached from this machine alone. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)
}

/** An address fit for a message: no account, no query, in which operators keep keys. */
export function withoutSecrets(address: string): string {
  if (/^https?:/i.test(address) && URL.canParse(address)) {
    const { protocol, host, pathname, search } = new URL(address)
    return `${protocol}//${host}${pathname}${search && '?…'}`
  }
  return address.replace(/^(\w+:\/\/)?.*@/s, '$1').replace(/[?#\s].*$/s, '…')
}

function either(values: readonly string[]): string {
  return values.join(', ').replace(/, ([^,]*)$/, ' or $1')
}
