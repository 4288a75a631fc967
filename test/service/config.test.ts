import { describe, expect, it } from 'vitest'
import { ChannelPattern } from '../../service/channel-pattern.js'
import { ConfigError, parseConfig, withoutSecrets, type Environment } from '../../service/config.js'

const URL_ALONE = { BACKEND_URL: 'http://portal.example.com/check?key=1' }

function problemsOf(env: Environment): string {
  try {
    parseConfig(env)
  } catch (error) {
    if (error instanceof ConfigError) return error.message
    throw error
  }
  return ''
}

describe('settings', () => {
  it('have the defaults of the README, and an empty value is one that is not set', () => {
    const config = parseConfig(URL_ALONE)
    expect(config).toEqual({
      backendType: 'http',
      backendUrl: new URL(URL_ALONE.BACKEND_URL),
      backendTimeoutMs: 3_000,
      backendSlowMs: 1_000,
      backendConnections: 64,
      whenBackendDown: 'allow',
      channelPattern: new ChannelPattern('^/play/([^/]+)/'),
      credentialParams: undefined,
      tokenlessRequests: 'session',
      sessionIdleMs: 600_000,
      sessionRecheckMs: undefined,
      denyTtlMs: 5_000,
      edgeTtlMs: 10_000,
      maxSessions: 1_000_000,
      maxDenials: 100_000,
      stateDir: '/var/lib/nginx-hls-auth',
      host: '127.0.0.1',
      port: 3000,
      admin: { host: '127.0.0.1', port: 9090, token: undefined },
      eventsUrl: undefined,
      eventsMinDurationMs: 0,
      logLevel: 'info',
    })
    expect(parseConfig({ ...URL_ALONE, BACKEND_TYPE: '', SESSION_RECHECK: '', PORT: '' })).toEqual(config)
  })

  it('are read', () => {
    const config = parseConfig({
      ...URL_ALONE,
      CREDENTIAL_PARAMS: 'token, uid',
      SESSION_RECHECK: 'never',
      BACKEND_TIMEOUT: '500ms',
      CHANNEL_PATTERN: '^/(?:live|vod)/(.+)/',
    })
    expect(config).toMatchObject({
      credentialParams: ['token', 'uid'],
      sessionRecheckMs: Infinity,
      backendTimeoutMs: 500,
    })
  })

  it('that are wrong are all named in one message, with the value seen and what is allowed', () => {
    const message = problemsOf({
      BACKEND_TYPE: 'stalker',
      BACKEND_URL: 'ftp://user:password@portal/?key=secret',
      BACKEND_TIMEOUT: '30s',
      BACKEND_CONNECTIONS: '0',
      WHEN_BACKEND_DOWN: 'maybe',
      CHANNEL_PATTERN: '^/play/',
      CREDENTIAL_PARAMS: 'a b',
      TOKENLESS_REQUESTS: 'no',
      SESSION_IDLE: '1s',
      SESSION_RECHECK: 'often',
      DENY_TTL: '5 seconds',
      EDGE_TTL: '1h',
      MAX_SESSIONS: '0',
      MAX_DENIALS: 'all',
      HOST: 'a b',
      PORT: '99999',
      LOG_LEVEL: 'loud',
    })
    expect(message).toBe(`the settings are wrong:
  BACKEND_TYPE="stalker": must be http, ministra, iptvportal or smarty
  BACKEND_URL="ftp://portal/…": must be an http:// or https:// address without a #
  BACKEND_TIMEOUT="30s": must be a duration from 100ms to 8s, such as 3s
  BACKEND_CONNECTIONS="0": must be a whole number from 4 to 10000
  WHEN_BACKEND_DOWN="maybe": must be allow or deny
  CHANNEL_PATTERN="^/play/": must be a regular expression with a group for the channel, such as ^/play/([^/]+)/
  CREDENTIAL_PARAMS="a b": must be names of query parameters with commas between, such as token,uid
  TOKENLESS_REQUESTS="no": must be session or backend
  SESSION_IDLE="1s": must be a duration from 10s to 1d, such as 10m
  SESSION_RECHECK="often": must be never or a duration from 10s to 1d, such as 10m
  DENY_TTL="5 seconds": must be a duration from 1s to 10m, such as 5s
  EDGE_TTL="1h": must be a duration from 0ms to 1m, such as 10s
  MAX_SESSIONS="0": must be a whole number from 1 to 10000000
  MAX_DENIALS="all": must be a whole number from 2 to 10000000
  HOST="a b": must be an address or a name to listen on, such as 127.0.0.1
  PORT="99999": must be a whole number from 0 to 65535
  LOG_LEVEL="loud": must be trace, debug, info, warn, error, fatal or silent`)
  })

  it.each([
    [{ PORT: '9090' }, 'ADMIN_PORT="9090": must be another than PORT, or off'],
    [{ BACKEND_SLOW: '4s' }, 'BACKEND_SLOW="4s": must not be above BACKEND_TIMEOUT, or 0 for never'],
    [
      { ADMIN_TOKEN: 'short' },
      'ADMIN_TOKEN="…": must be at least 16 printable ASCII characters without spaces',
    ],
    [
      { ADMIN_HOST: '0.0.0.0' },
      'ADMIN_HOST="0.0.0.0": needs an ADMIN_TOKEN, without which only 127.0.0.1, ::1 or localhost is allowed',
    ],
    [{ ADMIN_PORT: 'no' }, 'ADMIN_PORT="no": must be off or a whole number from 0 to 65535'],
    [
      { CHANNEL_PATTERN: '^/(hls|play)/([^/]+)/' },
      'CHANNEL_PATTERN="^/(hls|play)/([^/]+)/": must have one group in a match, the channel: write (?:…) for what is not the channel, or (?<channel>…) for what is',
    ],
    [{ EVENTS_URL: 'hook' }, 'EVENTS_URL="hook": must be an http:// or https:// address without a #'],
  ])('that do not go together, or are of no use, are named: %j', (env, sentence) => {
    expect(problemsOf({ ...URL_ALONE, ...env })).toBe(`the settings are wrong:\n  ${sentence}`)
    expect(problemsOf({ ...URL_ALONE, ...env, ADMIN_TOKEN: 'x'.repeat(16), ADMIN_PORT: 'off' })).toBe(
      /SLOW|EVENTS|CHANNEL/.test(sentence) ? `the settings are wrong:\n  ${sentence}` : '',
    )
  })

  it.each([
    [{ WHEN_BACKEND_DONW: 'deny' }, 'WHEN_BACKEND_DONW is no setting: is WHEN_BACKEND_DOWN meant?'],
    [{ EVENT_URL: 'http://x/' }, 'EVENT_URL is no setting: is EVENTS_URL meant?'],
    [{ Admin_Port: 'off' }, 'Admin_Port is no setting: is ADMIN_PORT meant?'],
    [
      { ADMIN_PORT: 'off', ADMINPORT: '1', STATEDIR: 'none' },
      'ADMINPORT is no setting: is ADMIN_PORT meant?\n  STATEDIR is no setting: is STATE_DIR meant?',
    ],
  ])('whose names are misspelt are named: %j', (env, sentence) => {
    expect(problemsOf({ ...URL_ALONE, ...env })).toBe(`the settings are wrong:\n  ${sentence}`)
  })

  it.each([
    ['WHEN_BACKEND_IS_DOWN', 'WHEN_BACKEND_DOWN'],
    ['WHEN_DOWN', 'WHEN_BACKEND_DOWN'],
    ['SESSION_TTL', 'SESSION_IDLE, SESSION_RECHECK or MAX_SESSIONS'],
    [
      'BACKEND_ADDRESS',
      'BACKEND_TYPE, BACKEND_URL, BACKEND_TIMEOUT, BACKEND_SLOW, BACKEND_CONNECTIONS or WHEN_BACKEND_DOWN',
    ],
    [
      'BACKEND_DOWN',
      'BACKEND_TYPE, BACKEND_URL, BACKEND_TIMEOUT, BACKEND_SLOW, BACKEND_CONNECTIONS or WHEN_BACKEND_DOWN',
    ],
    ['CHANNEL_REGEX', 'CHANNEL_PATTERN'],
    ['CREDENTIAL_NAMES', 'CREDENTIAL_PARAMS'],
    ['CREDENTIALS', 'CREDENTIAL_PARAMS'],
    ['TOKENLESS', 'TOKENLESS_REQUESTS'],
    ['DENY_TIME', 'DENY_TTL'],
    ['EDGE_CACHE', 'EDGE_TTL'],
    ['MAX_SESSIONS_PER_VIEWER', 'MAX_SESSIONS'],
    ['MAX_DENIED', 'MAX_DENIALS'],
    ['STATE_DIR_PATH', 'STATE_DIR'],
    ['ADMIN_PASSWORD', 'ADMIN_HOST, ADMIN_PORT or ADMIN_TOKEN'],
    ['EVENTS_ADDRESS', 'EVENTS_URL or EVENTS_MIN_DURATION'],
    ['LOG_LEVEL_FILE', 'LOG_LEVEL'],
    ['Backend_Port', 'BACKEND_TYPE, BACKEND_URL,'],
  ])('whose names are remembered wrongly are named: %s', (name, meant) => {
    expect(problemsOf({ ...URL_ALONE, [name]: '8080' })).toContain(`\n  ${name} is no setting: is ${meant}`)
  })

  it.each(
    Object.entries({
      HOSTS: 'x',
      PATH: '/bin',
      hosts: 'x',
      http_proxy: 'http://x/',
      LOG_FORMAT: 'x',
      MAX_MEMORY: '1',
      STATE: 'x',
      WHENEVER: 'x',
      SESSIONNAME: 'Console',
      SESSION_ID: 'x',
      SESSION_MANAGER: 'local/x',
      STATE_DIRECTORY: '/var/lib/x',
      CREDENTIALS_DIRECTORY: '/run/x',
      // Of services named backend, backend-db and edge: Kubernetes, and Docker's links.
      BACKEND_SERVICE_HOST: '10.0.0.1',
      BACKEND_SERVICE_PORT: '80',
      BACKEND_SERVICE_PORT_HTTP_ALT: '80',
      BACKEND_PORT: 'tcp://10.0.0.1:80',
      BACKEND_PORT_80_TCP: 'tcp://10.0.0.1:80',
      BACKEND_PORT_80_TCP_ADDR: '10.0.0.1',
      BACKEND_PORT_80_TCP_PORT: '80',
      BACKEND_PORT_80_TCP_PROTO: 'tcp',
      BACKEND_DB_SERVICE_HOST: '10.0.0.1',
      BACKEND_DB_PORT_53_UDP: 'udp://10.0.0.1:53',
      EDGE_SERVICE_PORT_METRICS: '80',
      BACKEND_NAME: '/hls-auth/backend',
      BACKEND_ENV_PATH: '/bin',
      // Not set.
      MAX_DENIAL: '',
      SESSION_TTL: '',
    }),
  )('are not what other programs set: %s=%s', (name, value) => {
    expect(problemsOf({ ...URL_ALONE, ...process.env, [name]: value })).toBe('')
  })

  it.each(['', 'portal.example.com', 'http://x/#a', 'http://'])(
    'need an address: %j is none',
    (BACKEND_URL) => {
      expect(problemsOf({ BACKEND_URL })).toContain('BACKEND_URL')
    },
  )

  it('are shown without what is secret in them', () => {
    expect(withoutSecrets('https://user:pass@portal/x?key=1')).toBe('https://portal/x?…')
  })
})
