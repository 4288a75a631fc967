import { readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Exchange, Outcome } from '../../../service/backends/exchange.js'
import { BACKEND_TYPES, type Environment } from '../../../service/config.js'
import { ROOT } from '../../root.js'
import { answered, ask } from './asking.js'

const failing = (failure: 'tls' | 'dns' | 'timeout' | 'error', code?: string): Exchange => ({
  get: () => Promise.resolve<Outcome>({ failure, code }),
  close: () => Promise.resolve(),
})

interface Case {
  readonly env?: Environment
  readonly answer?: string | ((socket: Socket, question: string) => void)
  readonly address?: string
  readonly tookMs?: number
  readonly exchange?: Exchange
  readonly lookup?: () => Promise<unknown>
}

const CASES: Readonly<Record<string, Case>> = {
  'an address that was changed': { address: '/play/Канал/x?token=Zq7-secret#part', answer: answered(403) },
  'an admission': { answer: answered(200, 'X-Session-Name: Иван\r\n') },
  'an admission for a time of its own': { answer: answered(204, 'X-AuthDuration: 36000\r\n') },
  'an admission for too short': { answer: answered(200, 'X-AuthDuration: 5\r\n') },
  'an admission for too long': { answer: answered(200, 'X-AuthDuration: 864000\r\n') },
  'an admission for no time that is one': { answer: answered(200, 'X-AuthDuration: 10m\r\n') },
  'an admission, SESSION_RECHECK': {
    env: { SESSION_RECHECK: '20m', EDGE_TTL: '0' },
    answer: answered(200),
  },
  'an admission by Smarty': { env: { BACKEND_TYPE: 'smarty' }, answer: answered(200) },
  'an admission by Ministra': {
    env: { BACKEND_TYPE: 'ministra' },
    answer: answered(200, 'X-AuthDuration: 36000\r\nX-UserId: 1001\r\n'),
  },
  'a page of HTML': {
    answer: answered(200, 'Content-Type: text/html; charset=UTF-8\r\nContent-Length: 4\r\n') + 'page',
  },
  'HTML without a body, as PHP answers': {
    answer: answered(200, 'Content-Type: text/html\r\n'),
  },
  'a slow answer': { answer: answered(200), tookMs: 101 },
  'an answer so slow that it counts as an outage': { answer: answered(403), tookMs: 1_500 },
  'a refused token': { answer: answered(403) },
  'a refused token, 401': { answer: answered(401) },
  'a refused token of Ministra': { env: { BACKEND_TYPE: 'ministra' }, answer: answered(403) },
  'a refused token of IPTVportal': {
    env: { BACKEND_TYPE: 'iptvportal' },
    answer: answered(403),
  },
  'a refused token of Smarty': { env: { BACKEND_TYPE: 'smarty' }, answer: answered(403) },
  'an account is wanted': {
    answer: answered(401, 'WWW-Authenticate: Basic realm="billing"\r\n'),
  },
  'no credentials': { address: '/play/a001/index.m3u8', answer: answered(401) },
  'no credentials, and admitted': {
    address: '/play/a001/index.m3u8',
    answer: answered(200),
  },
  'no credentials, and the backend is asked': {
    env: { TOKENLESS_REQUESTS: 'backend', BACKEND_TYPE: 'ministra' },
    address: '/play/a001/index.m3u8?tok=1',
    answer: answered(200),
  },
  'a wrong address': { answer: answered(404) },
  'a redirect': { answer: answered(302, 'Location: /login?back=Zq7-secret\r\n') },
  'a redirect to https': {
    answer: answered(301, 'Location: https://user:word@billing.example.com/check\r\n'),
  },
  'a redirect to nowhere': { answer: answered(302) },
  'a request that is not read': { answer: answered(414) },
  'http where the port wants https': { answer: answered(400) },
  'a request that is not read, by https': {
    env: { BACKEND_URL: 'https://127.0.0.1:PORT/' },
    exchange: {
      get: () => Promise.resolve({ status: 400, header: () => undefined }),
      close: () => Promise.resolve(),
    },
  },
  'a script that fails': { answer: answered(500) },
  'a gateway without its script': { answer: answered(502) },
  'too many questions': {
    answer: answered(429, 'Retry-After: 30\r\n'),
    env: { WHEN_BACKEND_DOWN: 'deny' },
  },
  'another protocol': { answer: 'SSH-2.0-OpenSSH_9.2\r\n' },
  'no answer': { answer: (socket) => socket.destroy() },
  'no answer to this question alone': {
    answer: (socket, question) => (question.includes('token') ? socket.destroy() : socket.end(answered(403))),
  },
  'no answer in time': { answer: () => {}, env: { BACKEND_TIMEOUT: '100ms' } },
  'nobody listens': { env: { BACKEND_URL: 'http://127.0.0.1:1/' } },
  'no such host': { env: { BACKEND_URL: 'http://backend.invalid/' } },
  'no name server': { exchange: failing('dns', 'EAI_AGAIN') },
  'a silent name server': { exchange: failing('timeout'), lookup: () => new Promise(() => {}) },
  'a name server that fails too late': {
    exchange: failing('timeout'),
    lookup: () => Promise.reject(new Error()),
  },
  'TLS where there is none': {
    env: { BACKEND_URL: 'https://127.0.0.1:PORT/' },
    answer: answered(200),
  },
  'a certificate of its own': { exchange: failing('tls', 'DEPTH_ZERO_SELF_SIGNED_CERT') },
  'a certificate for another name': {
    exchange: failing('tls', 'ERR_TLS_CERT_ALTNAME_INVALID'),
  },
  'a certificate that has expired': { exchange: failing('tls', 'CERT_HAS_EXPIRED') },
  'a certificate that is not valid yet': { exchange: failing('tls', 'CERT_NOT_YET_VALID') },
  'a certificate without its chain': { exchange: failing('tls', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE') },
  'a certificate that is not accepted': { exchange: failing('tls', 'CERT_SIGNATURE_FAILURE') },
  'no way there': { exchange: failing('error', 'EHOSTUNREACH') },
  'a path that is not in normal form': { address: '/play//a001/x?token=Zq7-secret' },
  'a path that is too long': { address: `/play/a001/${'x'.repeat(2_048)}?token=Zq7-secret` },
  'a path of no channel': { address: '/vod/a001/x?token=Zq7-secret' },
  'a channel with a space around it': { address: '/play/a001%20/x?token=Zq7-secret' },
  'a pattern with nothing in its group': {
    env: { CHANNEL_PATTERN: '^/play/(x?)' },
    address: '/play/a/x',
  },
}

const SHOWN = readFileSync(join(ROOT, 'test/service/check/answers.txt'), 'utf8')
const EXPECTED = new Map(
  SHOWN.split(/^# /m)
    .slice(1)
    .map(
      (section) =>
        [section.slice(0, section.indexOf('\n')), section.slice(section.indexOf('\n') + 2)] as const,
    ),
)

/** All but the first part, which is the same for all. */
const fromAnswer = (text: string) => text.slice(text.search(/^(Answer|Asked {8}nothing)/m))

describe('a check says', () => {
  it.each(Object.entries(CASES))('%s', async (name, { env = {}, answer = '', ...options }) => {
    const { report, text } = await ask(env, answer, options)
    expect(`${fromAnswer(text)}\n`).toBe(EXPECTED.get(name))
    expect(text + JSON.stringify(report)).not.toContain('Zq7-secret')
  })

  it('nothing in answers.txt that is not asked here', () => {
    expect([...EXPECTED.keys()]).toEqual(Object.keys(CASES))
  })

  it('what it asked, whom, and about what', async () => {
    const { text } = await ask(
      { BACKEND_URL: 'http://user:pass-word@127.0.0.1:PORT/check?key=top-of-all' },
      answered(200),
      { address: 'https://TV.example.com/play/Канал/x?token=Zq7-secret&uid=42' },
    )
    expect(text.slice(0, text.indexOf('Answer'))).toBe(`\
Address      tv.example.com /play/%D0%9A%D0%B0%D0%BD%D0%B0%D0%BB/x
Channel      Канал
Credentials  token=Z…t (10 characters), uid=… (2 characters)
Viewer       192.0.2.7, player/1.0
Backend      http, http://127.0.0.1:50000/check?…

Asked        GET http://127.0.0.1:50000/check?key=t…l&token=Z…t&uid=…
             Host: 127.0.0.1:50000
             User-Agent: nginx-hls-auth
             Accept-Encoding: identity
             Connection: close
             Authorization: Basic …
             X-Session-ID: 00000000000000000000000000000000
             X-Channel-ID: Канал
             X-Real-IP: 192.0.2.7
             X-Real-Path: /play/%D0%9A%D0%B0%D0%BD%D0%B0%D0%BB/x
             X-Real-UA: player/1.0
             X-Real-Host: tv.example.com
`)
  })
})

describe.each(BACKEND_TYPES)('%s', (type) => {
  it('what is shown is what went over the wire', async () => {
    const { report, questions } = await ask({ BACKEND_TYPE: type }, answered(200))
    const [request = '', ...lines] = questions[0]!.trimEnd().split('\r\n')
    expect(questions).toHaveLength(1)
    expect(request).toBe(`GET ${new URL(report.question!.url).pathname}?token=Zq7-secret HTTP/1.1`)
    const shown = Object.entries(report.question!.headers).map(([name, value]) => `${name}: ${value}`)
    expect(lines.toSorted()).toEqual(shown.toSorted())
  })

  it('a backend that repeats every secret in every header betrays none', async () => {
    const secrets = ['Zq7-secret', 'Zq7%2Fother', 'Zq7/other', 'pass-word', 'top-of-all']
    const echo = secrets.join(' ')
    const names = [
      'X-Session-Name',
      'X-UserId',
      'X-AuthDuration',
      'Content-Type',
      'Retry-After',
      'WWW-Authenticate',
    ]
    const headers = [...names, 'Location'].map((name) => `${name}: /${echo}\r\n`).join('')
    for (const status of [200, 302, 401, 403, 429, 500]) {
      const { report, text } = await ask(
        { BACKEND_TYPE: type, BACKEND_URL: 'http://user:pass-word@127.0.0.1:PORT/?key=top-of-all' },
        answered(status, headers),
        { address: '/play/a001/x?token=Zq7-secret&token=Zq7%2Fother' },
      )
      expect(report.answer?.status).toBe(status)
      const shown = text + JSON.stringify(report)
      for (const secret of [...secrets, encodeURIComponent('Zq7%2Fother'), btoa('user:pass-word')])
        expect(shown).not.toContain(secret)
    }
  })
})
