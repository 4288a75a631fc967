import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { view, type ViewerOptions, type ViewerReply } from './client.js'
import { freePort, startNginx, type NginxOptions, type RunningNginx } from './harness.js'
import { answer, startStub, type Act, type Stub } from './stub.js'

/*
 * nginx's own door: who gets in where the service does not answer. The service is a stub that admits nobody here but
 * `token=known`.
 */

let nginx: RunningNginx
let stubs: Stub[] = []
let prefix: string
let ports: number[]
afterEach(async () => {
  await nginx.stop()
  await Promise.all(stubs.map((stub) => stub.stop()))
  stubs = []
  await rm(prefix, { recursive: true })
})

type Changes = NonNullable<NginxOptions['changes']>

const IN_TIME = '300ms'
const SHORT: Changes = [
  ['nginx.conf', 'worker_processes auto;', 'worker_processes 1;'],
  ['hls-auth/location.conf', 'proxy_connect_timeout 2s;', `proxy_connect_timeout ${IN_TIME};`],
  ['hls-auth/location.conf', 'proxy_read_timeout 10s;', `proxy_read_timeout ${IN_TIME};`],
]
/** As shipped but that it takes less time, with one worker and as many services as said. */
async function start(changes: Changes = [], services = 1): Promise<void> {
  prefix = await realpath(await mkdtemp(join(tmpdir(), 'nginx-hls-auth-door-')))
  const mediaDir = join(prefix, 'media')
  await mkdir(join(mediaDir, 'a001'), { recursive: true })
  await writeFile(join(mediaDir, 'a001/0.ts'), 'segment')
  requests = 0
  ports = []
  while (ports.length < services) ports.push(await freePort())
  const second: Changes = [
    ['hls-auth/upstream.conf', '# hash', 'hash'],
    ['hls-auth/upstream.conf', '# server 127.0.0.1:3001 ', `server 127.0.0.1:${ports[1]} `],
    // As an operator may have it for sites of his own.
    ['nginx.conf', 'tcp_nopush on;', 'proxy_next_upstream off; proxy_next_upstream_tries 1;'],
    ['nginx.conf', 'keepalive_timeout 65s;', 'proxy_next_upstream_timeout 1ms;'],
  ]
  nginx = await startNginx({
    prefix,
    port: await freePort(),
    servicePort: ports[0]!,
    mediaDir,
    changes: [...SHORT, ...changes, ...(services > 1 ? second : [])],
  })
}

async function serve(act: Act, at = 0): Promise<Stub> {
  const stub = await startStub(act, ports[at])
  stubs.push(stub)
  return stub
}

const decide: Act = (socket, question) => {
  const isKnown = question.includes('token=known')
  socket.write(answer(isKnown ? 200 : 403, 'Cache-Control: max-age=1, stale-if-error=300'))
}
const hang: Act = () => {}

let number = 0
let requests = 0
async function ask(query: string, options?: ViewerOptions): Promise<ViewerReply> {
  requests++
  return view(`http://127.0.0.1:${nginx.port}/`, `/play/a001/0.ts?${query}`, options)
}
const newcomer = async () => (await ask(`token=new${number++}`)).status

/** `auth=` of the last line in the access log. */
async function lastAuth(): Promise<string | undefined> {
  // nginx writes its line when the answer is on its way.
  await expect.poll(async () => (await nginx.accessLog()).length, { interval: 5 }).toBe(requests)
  return /auth="([^"]*)"/.exec((await nginx.accessLog()).at(-1)!)?.[1]
}

describe('nginx by itself', () => {
  it('lets new viewers in where nothing listens', async () => {
    await start()
    expect(await newcomer()).toBe(200)
    expect(await lastAuth()).toBe('MISS 502')
  })

  it('lets nobody in with one line changed', async () => {
    await start([['hls-auth/location.conf', 'return 204;', 'return 403;']])
    expect(await newcomer()).toBe(403)
  })

  it.each<[string, Act]>([
    ['MISS 502', (socket) => socket.resetAndDestroy()],
    ['MISS 502', (socket) => socket.end()],
    ['MISS 502', (socket) => socket.end('HTTP/1.1 200 OK\r\nX')],
    ['MISS 502', (socket) => socket.end('HTTP/1.1 200 OK\r\nX\0: y\r\n\r\n')],
    ['MISS 502', (socket) => socket.end(`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`)],
    ['MISS 504', hang],
    ['MISS 504', (socket) => socket.write('HTTP/1.1 200 OK\r\n')],
    ['MISS 500', (socket) => socket.write(answer(500))],
    ['MISS 502', (socket) => socket.write(answer(502))],
    ['MISS 503', (socket) => socket.write(answer(503))],
    ['MISS 504', (socket) => socket.write(answer(504))],
  ])('refuses new viewers where the service was reached: %s, %s', async (auth, act) => {
    await start()
    await serve(act)
    const reply = await ask('token=new')
    expect(reply.status).toBe(403)
    expect(reply.headers).toMatchObject({ 'access-control-allow-origin': '*', 'cache-control': 'no-store' })
    expect(await lastAuth()).toBe(auth)
  })

  it('takes a service that breaks off and then is not there for gone, and one that then is there for what it says', async () => {
    await start()
    const stub = await serve(decide)
    expect(await newcomer()).toBe(403)
    // The connection is kept, and cut at the next question.
    stub.does((socket) => socket.resetAndDestroy())
    stub.close()
    expect(await newcomer()).toBe(200)
    expect(await lastAuth()).toBe('MISS 502, 502')

    const back = await serve(decide)
    expect(await newcomer()).toBe(403)
    back.does((socket) => {
      back.does(decide)
      socket.resetAndDestroy()
    })
    expect(await newcomer()).toBe(403)
    expect(await lastAuth()).toBe('MISS 502, 403')
  })

  it.each<[string, Act | undefined]>([
    ['is gone', undefined],
    ['hangs', hang],
    ['breaks off', (socket) => socket.resetAndDestroy()],
  ])('serves who is known, and refuses who is known to be refused, while the service %s', async (_, act) => {
    await start()
    const stub = await serve(decide)
    for (let time = 0; time < 3; time++) {
      expect((await ask('token=known')).status).toBe(200)
      expect((await ask('token=bad')).status).toBe(403)
    }
    if (act) stub.does(act)
    else await stub.stop()
    const auth = async (query: string, status: number) => {
      expect((await ask(query)).status).toBe(status)
      return lastAuth()
    }
    await expect.poll(() => auth('token=known', 200)).toMatch(/^STALE 50/)
    expect(await auth('token=bad', 403)).toMatch(/^STALE 50/)
  })

  it('with two services, lets new viewers in only where neither is there', async () => {
    await start([], 2)
    expect(await newcomer()).toBe(200)
    expect(await lastAuth()).toBe('MISS 502, 502')
    // Each viewer's questions go to one of the two first; all of these get an answer from the one that is there.
    for (const act of [hang, (socket: Socket) => socket.resetAndDestroy(), decide]) {
      for (const at of [0, 1]) {
        const stub = await serve(act, at)
        const addresses = Array.from({ length: 8 }, (_, last) => `127.0.0.${last + 1}`)
        const replies = addresses.map((address) => ask(`token=new${number++}`, { address }))
        expect(new Set((await Promise.all(replies)).map(({ status }) => status))).toEqual(new Set([403]))
        await stub.stop()
      }
    }
    expect(await newcomer()).toBe(200)
  })

  it('with two services, and without max_fails=0, does not take slow ones for gone', async () => {
    const remembers = [' max_fails=0;\n    # server', ';\n    # server'] as const
    await start(
      [
        ['hls-auth/upstream.conf', ...remembers],
        ['hls-auth/upstream.conf', '1 max_fails=0;', '1 ;'],
      ],
      2,
    )
    await serve(hang, 0)
    await serve(hang, 1)
    for (let time = 0; time < 4; time++) expect(await newcomer()).toBe(403)
    // "no live upstreams" is a 502 as well.
    expect(await lastAuth()).toBe('MISS 502')
  })

  const SILENT = '# "~^(?:502, )*504 (?:0, )*0 " gone;'
  it.each<[string, Changes, number]>([
    ['refuses new viewers', [], 403],
    ['lets them in with one line', [['hls-auth/http.conf', SILENT, SILENT.slice(2)]], 200],
  ])(
    'where connections are not answered, as by a machine that is switched off, %s',
    async (_, changes, status) => {
      await start(changes)
      // A process that is stopped, with a queue of connections that is full.
      const script = `require('node:net').createServer().listen({ port: ${ports[0]}, host: '127.0.0.1', backlog: 1 }, () => console.log())`
      const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
      await once(child.stdout, 'data')
      child.kill('SIGSTOP')
      const waiting = Array.from({ length: 8 }, () => connect(ports[0]!, '127.0.0.1').on('error', () => {}))
      await Promise.all(waiting.slice(0, 2).map((socket) => once(socket, 'connect')))
      await expect
        .poll(async () => {
          expect(await newcomer()).toBe(status)
          return lastAuth()
        })
        .toBe('MISS 504')
      for (const socket of waiting) socket.destroy()
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
  )
})
