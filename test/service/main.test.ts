import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { connect, createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { open } from 'lmdb'
import { afterEach, describe, expect, it } from 'vitest'
import type { Environment } from '../../service/config.js'
import { createDemoMiddleware } from '../demo/middleware.js'
import { ROOT } from '../root.js'

const endings: (() => unknown)[] = []
afterEach(async () => {
  for (const ending of endings.splice(0)) await ending()
})

/** The compiled service as an operator starts it. */
function start(env: Environment) {
  const child = spawn(process.execPath, [join(ROOT, 'dist/service/main.js')], {
    env: { STATE_DIR: 'none', ADMIN_PORT: 'off', ...env },
  })
  endings.push(() => child.kill('SIGKILL'))
  const output = { stdout: '', stderr: '' }
  child.stdout.on('data', (text: Buffer) => (output.stdout += text.toString()))
  child.stderr.on('data', (text: Buffer) => (output.stderr += text.toString()))
  const exited = once(child, 'close').then(([code]) => code as number)
  const listening = once(child.stdout, 'data').then(
    ([line]) => (JSON.parse(String(line)) as { port: number }).port,
  )
  return { child, output, exited, listening }
}

async function startWithMiddleware() {
  const middleware = createDemoMiddleware('http')
  const portal = `http://127.0.0.1:${await middleware.listen()}/portal`
  endings.push(() => middleware.close())
  const service = start({ BACKEND_URL: portal, PORT: '0' })
  const site = `http://127.0.0.1:${await service.listening}`
  return { ...service, middleware, site }
}

const HEADERS = { 'X-Original-URI': '/play/a001/index.m3u8?token=top-secret', 'X-Real-IP': '192.0.2.1' }

describe('the service', () => {
  it('killed and started again, knows its viewers', async () => {
    const STATE_DIR = await mkdtemp(join(tmpdir(), 'nginx-hls-auth-state-'))
    endings.push(() => rm(STATE_DIR, { recursive: true }))
    const middleware = createDemoMiddleware('http')
    const BACKEND_URL = `http://127.0.0.1:${await middleware.listen()}/portal`
    const env = { BACKEND_URL, PORT: '0', STATE_DIR, BACKEND_TIMEOUT: '1s' }
    const first = start(env)
    const ask = async (port: number, token: string) => {
      const headers = { 'X-Original-URI': `/play/a001/index.m3u8?token=${token}`, 'X-Real-IP': '192.0.2.1' }
      const reply = await fetch(`http://127.0.0.1:${port}/auth`, { headers })
      return [reply.status, reply.headers.get('X-Session-ID')]
    }
    const port = await first.listening
    const known = await ask(port, 'demo')
    expect(known[0]).toBe(200)
    expect((await ask(port, 'wrong'))[0]).toBe(403)
    // Committed some milliseconds later: what another process can read outlives this one.
    const kept = open({ path: join(STATE_DIR, 'sessions'), readOnly: true, maxDbs: 5 })
    endings.push(() => kept.close())
    const countOf = (name: string) => {
      kept.resetReadTxn()
      return kept.openDB({ name, keyEncoding: 'binary' }).getCount()
    }
    await expect.poll(() => [countOf('sessions'), countOf('refusals-0')]).toEqual([1, 1])
    first.child.kill('SIGKILL')
    await first.exited
    await middleware.close()

    const second = await start(env).listening
    expect(await ask(second, 'demo')).toEqual(known)
    expect((await ask(second, 'wrong'))[0]).toBe(403)
    expect((await ask(second, 'new'))[0]).toBe(200)
  })

  it('with a damaged STATE_DIR says so in one line and runs without', async () => {
    const STATE_DIR = await mkdtemp(join(tmpdir(), 'nginx-hls-auth-state-'))
    endings.push(() => rm(STATE_DIR, { recursive: true }))
    await mkdir(join(STATE_DIR, 'sessions'))
    await writeFile(join(STATE_DIR, 'sessions/data.mdb'), 'no database')
    const { output } = start({ BACKEND_URL: 'http://127.0.0.1:1/', PORT: '0', STATE_DIR })
    await expect.poll(() => output.stdout).toContain('"listening"')
    const lines = output.stdout.split('\n').filter((line) => line.includes('STATE_DIR'))
    expect(lines).toEqual([
      expect.stringContaining('STATE_DIR cannot be used: sessions will not survive a restart'),
    ])
  })

  it('with wrong settings says all that is wrong, and ends with 1', async () => {
    const { exited, output } = start({ BACKEND_TYPE: 'stalker', PORT: 'http' })
    expect(await exited).toBe(1)
    expect(output.stdout).toBe('')
    expect(output.stderr).toMatch(
      /^nginx-hls-auth: the settings are wrong:\n {2}BACKEND_TYPE=.*\n {2}BACKEND_URL is not set: .*\n {2}PORT=.*\n$/,
    )
  })

  it('on a port in use says so in one sentence, and ends with 1', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    endings.push(() => other.close())
    await once(other, 'listening')
    const { port } = other.address() as AddressInfo
    const { exited, output } = start({ BACKEND_URL: 'http://x/', PORT: String(port) })
    expect(await exited).toBe(1)
    expect(output.stderr).toBe(
      `nginx-hls-auth: cannot listen on 127.0.0.1:${port}: another program listens there: set another PORT\n`,
    )
  })

  it('holds as many connections that are not accepted yet as the system lets it', async () => {
    const { child, listening } = start({ BACKEND_URL: 'http://x/', PORT: '0' })
    const port = await listening
    const limit = await readFile('/proc/sys/net/core/somaxconn', 'utf8').catch(() => '128')
    // More than the 511 for which Node asks by itself.
    const count = Math.min(Number(limit), 700)
    child.kill('SIGSTOP')
    endings.push(() => child.kill('SIGCONT'))
    const sockets = Array.from({ length: count }, () => connect(port, '127.0.0.1').on('error', () => {}))
    endings.push(() => sockets.forEach((socket) => socket.destroy()))
    await expect.poll(() => sockets.filter(({ readyState }) => readyState === 'open').length).toBe(count)
  })

  it('is healthy, and refuses what is not from our nginx', async () => {
    const { site, output } = await startWithMiddleware()
    expect((await fetch(`${site}/healthz`)).status).toBe(200)
    for (let count = 0; count < 3; count++) expect((await fetch(`${site}/auth`)).status).toBe(403)
    expect((await fetch(`${site}/auth`, { method: 'POST', body: 'x' })).status).toBe(403)
    const reports = () => output.stdout.match(/without X-Original-URI/g)?.length
    await expect.poll(reports).toBe(1)
  })

  it('refuses what Node cannot parse, and headers larger than any nginx sends', async () => {
    const { site } = await startWithMiddleware()
    for (const header of ['X-Real-UA: a\x01b', `X-Real-UA: ${'x'.repeat(100_000)}`, 'broken']) {
      const socket = connect(Number(new URL(site).port), '127.0.0.1')
      let reply = ''
      socket.on('data', (text: Buffer) => (reply += text.toString()))
      socket.on('error', () => {})
      socket.write(`GET /auth HTTP/1.1\r\nHost: x\r\n${header}\r\n\r\n`)
      await once(socket, 'close')
      expect(reply).toMatch(/^HTTP\/1.1 403 /)
    }
    // What nginx can send at most is no more than a question like any other.
    const big = { 'X-Original-URI': `/play/a001/x?${'t'.repeat(8_000)}`, 'X-Real-IP': '192.0.2.1' }
    expect(
      (await fetch(`${site}/auth`, { headers: { ...big, 'X-Real-UA': 'u'.repeat(8_000) } })).status,
    ).toBe(401)
  })

  it.each([
    ['/(.+)/.*\\.(?:ts|m3u8)$', (length: number) => `/${'a/'.repeat(length / 2)}.ts/x`],
    ['^/play/((?:[a-z0-9]+[-_]?)+)/', (length: number) => `/play/${'a'.repeat(length)}`],
  ])('is kept busy by no path, with CHANNEL_PATTERN=%s', async (CHANNEL_PATTERN, pathOf) => {
    const { listening } = start({ BACKEND_URL: 'http://127.0.0.1:1/', PORT: '0', CHANNEL_PATTERN })
    const site = `http://127.0.0.1:${await listening}`
    for (const length of [40, 2_000, 8_000]) {
      const headers = { 'X-Original-URI': pathOf(length), 'X-Real-IP': '192.0.2.1' }
      expect((await fetch(`${site}/auth`, { headers })).status).toBe(403)
    }
  })

  it('that stands still for ten seconds ends', async () => {
    const standStill = "process.on('SIGUSR2', () => { for (;;); })"
    const { child, listening, exited, output } = start({
      BACKEND_URL: 'http://x/',
      PORT: '0',
      NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(standStill)}`,
    })
    await listening
    child.kill('SIGUSR2')
    await exited
    expect(child.signalCode).toBe('SIGKILL')
    expect(output.stdout).toContain('"msg":"stood still for 10s: the process ends, to be started anew"')
  })

  it('on SIGTERM finishes what is in flight, takes nothing new, and ends with 0', async () => {
    const { child, exited, middleware, output, site } = await startWithMiddleware()
    let inFlight: ServerResponse | undefined
    const asked = new Promise<void>((resolve) => {
      middleware.answerViewersWith((_, response) => {
        inFlight = response
        resolve()
      })
    })
    const reply = fetch(`${site}/auth`, { headers: HEADERS })
    await asked
    child.kill('SIGTERM')
    while (!output.stdout.includes('"ending"')) await once(child.stdout, 'data')
    await expect(fetch(`${site}/healthz`)).rejects.toThrow('fetch failed')
    inFlight?.writeHead(200, { 'X-Session-Name': 'ivan' }).end()
    expect((await reply).headers.get('x-session-name')).toBe('ivan')
    expect(await exited).toBe(0)
    expect(output.stdout).toContain('"name":"ivan"')
    expect(output.stdout + output.stderr).not.toContain('top-secret')
  })
})
