import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdtemp, realpath, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { open } from 'lmdb'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createDemoMiddleware, type DemoMiddleware } from '../demo/middleware.js'
import { ROOT } from '../root.js'
import { view } from './client.js'
import { freePort, startNginx, type RunningNginx } from './harness.js'

/** Milliseconds of the middleware's clock. */
let nowMs: number
let prefix: string
let middleware: DemoMiddleware
let backendPort: number
let ports: [number, number]
let services: ChildProcess[]
let nginx: RunningNginx

/** The compiled service as a process of its own, which can be killed. */
async function startService(port: number): Promise<ChildProcess> {
  const child = spawn(process.execPath, [join(ROOT, 'dist/service/main.js')], {
    env: {
      BACKEND_TYPE: 'ministra',
      BACKEND_URL: `http://127.0.0.1:${backendPort}/portal`,
      PORT: String(port),
      STATE_DIR: join(prefix, 'state'),
      ADMIN_PORT: 'off',
      EDGE_TTL: '1s',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout, 'data')
  child.stdout.resume()
  return child
}

beforeEach(async () => {
  nowMs = 0
  prefix = await realpath(await mkdtemp(join(tmpdir(), 'nginx-hls-auth-two-')))
  const mediaDir = join(prefix, 'media')
  await cp(join(ROOT, 'test/demo/media'), mediaDir, { recursive: true })
  // A strict Ministra: after five seconds a token is dead.
  middleware = createDemoMiddleware('ministra', () => nowMs)
  backendPort = await middleware.listen()
  ports = [await freePort(), await freePort()]
  services = [await startService(ports[0]), await startService(ports[1])]
  nginx = await startNginx({
    prefix,
    port: await freePort(),
    servicePort: ports[0],
    mediaDir,
    changes: [
      ['hls-auth/upstream.conf', '# hash $remote_addr', 'hash $remote_addr'],
      ['hls-auth/upstream.conf', '# server 127.0.0.1:3001 ', `server 127.0.0.1:${ports[1]} `],
      ['hls-auth/location.conf', 'proxy_read_timeout 10s;', 'proxy_read_timeout 3s;'],
      ['hls-auth/http.conf', '\'auth="$hls_auth" ', '\'by=$hls_by auth="$hls_auth" '],
      [
        'hls-auth/protect.conf',
        'auth_request_set $hls_channel',
        'auth_request_set $hls_by $upstream_addr;\nauth_request_set $hls_channel',
      ],
    ],
  })
})
afterEach(async () => {
  await nginx.stop()
  for (const service of services) service.kill('SIGKILL')
  await middleware.close()
  await rm(prefix, { recursive: true, force: true })
})

const watch = async (address: string, file: string) =>
  (await view(`http://127.0.0.1:${nginx.port}/`, `/play/a001/${file}`, { address })).status

/** Which services nginx has asked so far, by the viewer's address. */
async function askedByAddress(): Promise<Map<string, Set<string>>> {
  const asked = new Map<string, Set<string>>()
  for (const line of await nginx.accessLog()) {
    const [, address = '', by = '-'] = /^(\S+) .* by=(.*?) auth=/.exec(line) ?? []
    const before = asked.get(address) ?? new Set()
    if (by !== '' && by !== '-') asked.set(address, before.add(by))
  }
  return asked
}

/** Sessions and refusals that are committed, and so outlive whoever put them. */
async function keptCounts(): Promise<number[]> {
  const kept = open({ path: join(prefix, 'state/sessions'), readOnly: true, maxDbs: 5 })
  const counts = ['sessions', 'refusals-0'].map((name) =>
    kept.openDB({ name, keyEncoding: 'binary' }).getCount(),
  )
  await kept.close()
  return counts
}

const ADDRESSES = Array.from({ length: 40 }, (_, number) => `127.0.2.${number + 1}`)
const FILES = ['low/index.m3u8', 'low/0.ts', 'low/1.ts', 'high/0.ts']

describe('two services', () => {
  it('share the viewers by address, and each session is asked about once', async () => {
    for (const address of ADDRESSES) {
      const token = middleware.issueToken()
      expect(await watch(address, `index.m3u8?token=${token}`)).toBe(200)
      for (const file of FILES) expect(await watch(address, file)).toBe(200)
    }
    expect(middleware.questions).toHaveLength(ADDRESSES.length)
    const asked = await askedByAddress()
    const by = ADDRESSES.map((address) => [...asked.get(address)!])
    expect(by.every((one) => one.length === 1)).toBe(true)
    for (const port of ports) {
      expect(by.filter(([one]) => one === `127.0.0.1:${port}`).length).toBeGreaterThan(ADDRESSES.length / 5)
    }
  })

  it('stand in for each other: who watches goes on, with a dead token too, and who was refused stays out', async () => {
    const tokens = new Map<string, string>()
    for (const address of ADDRESSES) {
      tokens.set(address, middleware.issueToken())
      expect(await watch(address, `index.m3u8?token=${tokens.get(address)}`)).toBe(200)
      expect(await watch(address, 'index.m3u8?token=bad')).toBe(403)
    }
    await expect.poll(keptCounts).toEqual([ADDRESSES.length, ADDRESSES.length])
    nowMs = 3_600_000
    services[0]!.kill('SIGKILL')
    await once(services[0]!, 'exit')
    const watchAll = async () => {
      for (const address of ADDRESSES) {
        // Folders that nginx remembers nothing of.
        for (const file of FILES) expect(await watch(address, file)).toBe(200)
        expect(await watch(address, `index.m3u8?token=${tokens.get(address)}`)).toBe(200)
        expect(await watch(address, 'low/0.ts?token=bad')).toBe(403)
      }
    }
    await watchAll()
    expect(await watch('127.0.3.1', 'index.m3u8?token=bad')).toBe(403)
    // One question for each refusal that was long past, none for anybody who watches.
    expect(middleware.questions.filter(({ query }) => query !== 'token=bad')).toHaveLength(ADDRESSES.length)

    // It is back, and the other one goes.
    services[0] = await startService(ports[0])
    services[1]!.kill('SIGKILL')
    await once(services[1]!, 'exit')
    await watchAll()
    expect(middleware.questions.filter(({ query }) => query !== 'token=bad')).toHaveLength(ADDRESSES.length)

    // And with the middleware away as well.
    await middleware.close()
    await watchAll()
    await middleware.listen(backendPort)
  })

  it('are not both asked when one hangs: a token that works once may be spent', async () => {
    services[0]!.kill('SIGKILL')
    services[1]!.kill('SIGKILL')
    await Promise.all(services.map((service) => once(service, 'exit')))
    let questions = 0
    const hanging = ports.map((port) =>
      createServer((socket) => {
        socket.on('error', () => {})
        socket.on('data', () => questions++)
      }).listen(port, '127.0.0.1'),
    )
    await Promise.all(hanging.map((server) => once(server, 'listening')))
    // nginx gives up after proxy_read_timeout.
    expect(await watch('127.0.2.1', 'index.m3u8?token=once')).toBe(403)
    expect(questions).toBe(1)
    for (const server of hanging) server.close()
  })
})
