import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { connect, createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
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
  const child = spawn(process.execPath, [join(ROOT, 'dist/service/main.js')], { env: { ...env } })
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
  it('with wrong settings says all that is wrong, and ends with 1', async () => {
    const { exited, output } = start({ BACKEND_TYPE: 'stalker', PORT: 'http' })
    expect(await exited).toBe(1)
    expect(output.stdout).toBe('')
    expect(output.stderr).toMatch(
      /^nginx-hls-auth: the settings are wrong:\n {2}BACKEND_TYPE=.*\n {2}BACKEND_URL=.*\n {2}PORT=.*\n$/,
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

  it('is healthy and ready, and refuses what is not from our nginx', async () => {
    const { site, output } = await startWithMiddleware()
    expect((await fetch(`${site}/healthz`)).status).toBe(200)
    expect((await fetch(`${site}/readyz`)).status).toBe(200)
    for (let count = 0; count < 3; count++) expect((await fetch(`${site}/auth`)).status).toBe(403)
    expect((await fetch(`${site}/auth`, { method: 'POST', body: 'x' })).status).toBe(403)
    expect(output.stdout.match(/without X-Original-URI/g)?.length).toBe(1)
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

  it('on SIGTERM finishes what is in flight, takes nothing new, and ends with 0', async () => {
    const { child, exited, middleware, output, site } = await startWithMiddleware()
    let inFlight: ServerResponse | undefined
    const asked = new Promise<void>((resolve) => {
      middleware.answerWith((_, response) => {
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
