import { get } from 'node:http'
import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { SessionView } from '../../service/admin/session-view.js'
import { view } from './client.js'
import { startStack, type Stack } from './stack.js'

const TOKEN = 'operators-own-token'
const authorization = { Authorization: `Bearer ${TOKEN}` }

let stack: Stack
let site: string
beforeAll(async () => {
  stack = await startStack({ env: { ADMIN_TOKEN: TOKEN, EDGE_TTL: '2s', DENY_TTL: '1s' }, hasDemo: false })
  site = `http://127.0.0.1:${stack.service.adminPort}`
})
afterAll(() => stack.stop())

async function ask(path: string, method = 'GET'): Promise<{ status: number; body: unknown }> {
  const reply = await fetch(site + path, { method, headers: authorization })
  return { status: reply.status, body: await reply.json() }
}

const sessions = async (query = '') =>
  (await ask(`/sessions${query}`)).body as { total: number; sessions: SessionView[] }

const watch = async (userAgent: string, target = '/play/a001/index.m3u8?token=demo') =>
  (await view(stack.site, target, { headers: { 'User-Agent': userAgent } })).status

describe('the admin interface', () => {
  it('tells who watches, and filters', async () => {
    expect(await watch('teller')).toBe(200)
    expect(await watch('other', '/play/b002/index.m3u8?token=demo')).toBe(200)
    const { total, sessions: found } = await sessions('?channel=a001')
    expect([total, found]).toEqual([
      1,
      [expect.objectContaining({ user_agent: 'teller', addr: '127.0.0.1' })],
    ])
    const one = await ask(`/sessions/${found[0]!.client_id}`)
    expect(one.body).toMatchObject({ name: 'demo-viewer', source: 'backend', host: '127.0.0.1' })
  })

  it('answers what it cannot do in one sentence', async () => {
    expect(await ask('/sessions/none')).toMatchObject({
      status: 404,
      body: { error: expect.any(String) as string },
    })
    expect(await ask('/sessions/none', 'DELETE')).toMatchObject({ status: 404 })
    expect(await ask('/sessions?limit=x')).toMatchObject({ status: 400 })
    expect(await ask('/sessions/none?block=soon', 'DELETE')).toEqual({
      status: 400,
      body: { error: 'block="soon": must be a duration up to 30d, such as 10m' },
    })
    expect(await ask('/nothing')).toMatchObject({ status: 404 })
  })

  it('asks for its token', async () => {
    for (const path of ['/', '/sessions', '/metrics', '/status', '/blocks']) {
      const reply = await fetch(site + path)
      expect([reply.status, reply.headers.get('WWW-Authenticate')]).toEqual([
        401,
        expect.stringContaining('Basic'),
      ])
    }
  })

  it('closes a session: its viewer is refused within EDGE_TTL, and no other', async () => {
    const open = ['closed', 'left alone'].map(async (name) => {
      // Known to nginx, which answers by itself from then on.
      for (let times = 0; times < 3; times++) expect(await watch(name)).toBe(200)
      for (let times = 0; times < 3; times++) expect(await watch(name, '/play/a001/low/0.ts')).toBe(200)
    })
    await Promise.all(open)
    const { client_id } = (await sessions('?channel=a001')).sessions.find(
      (one) => one.user_agent === 'closed',
    )!
    const closedAt = performance.now()
    expect(await ask(`/sessions/${client_id}`, 'DELETE')).toEqual({
      status: 200,
      body: { closed: true, blocked_until: null },
    })
    expect(await ask(`/sessions/${client_id}`)).toMatchObject({ status: 404 })
    await expect.poll(() => watch('closed'), { timeout: 10_000, interval: 100 }).toBe(403)
    await expect
      .poll(() => watch('closed', '/play/a001/low/0.ts'), { timeout: 10_000, interval: 100 })
      .toBe(403)
    expect(performance.now() - closedAt).toBeLessThan(10_000)
    expect(await watch('left alone')).toBe(200)
  })

  it('blocks a viewer whatever token he brings, and lifts the block', async () => {
    const target = '/play/live/index.m3u8?token=demo'
    expect(await watch('blocked', `${target}&first=1`)).toBe(200)
    expect(await watch('blocked', target)).toBe(200)
    expect((await sessions('?channel=live')).total).toBe(2)
    const { client_id } = (await sessions('?channel=live')).sessions[0]!
    const { body } = await ask(`/sessions/${client_id}?block=10m`, 'DELETE')
    expect(Date.parse((body as { blocked_until: string }).blocked_until) - Date.now()).toBeGreaterThan(
      500_000,
    )
    expect((await sessions('?channel=live')).total).toBe(0)
    expect(await watch('blocked', `${target}&again=1`)).toBe(403)
    expect(await watch('another player', target)).toBe(200)
    const blocks = [{ client_id, channel_id: 'live', user_agent: 'blocked' }]
    expect((await ask('/blocks')).body).toMatchObject({ blocks })
    expect(await ask(`/blocks/${client_id}`, 'DELETE')).toEqual({ status: 200, body: { lifted: true } })
    expect(await ask(`/blocks/${client_id}`, 'DELETE')).toMatchObject({ status: 404 })
    await expect.poll(() => watch('blocked', `${target}&again=2`), { timeout: 10_000 }).toBe(200)
  })

  it('tells how the backend is', async () => {
    const { body } = await ask('/status')
    expect(body).toMatchObject({
      backend: { type: 'http', state: 'up', in_flight: 0 },
      when_backend_down: 'allow',
      outage: null,
      outages: 0,
      sessions: { watching: expect.any(Number) as number },
    })
  })

  it('has metrics, whose series a viewer cannot multiply', async () => {
    const metrics = async () => {
      const reply = await fetch(`${site}/metrics`, { headers: authorization })
      expect(reply.headers.get('Content-Type')).toContain('text/plain')
      return (await reply.text()).split('\n')
    }
    await watch('metrics', '/play/none/../x?token=wrong')
    await watch('metrics', '/play/a001/index.m3u8?token=wrong')
    const before = await metrics()
    for (let count = 0; count < 20; count++) {
      await watch(`agent ${count}`, `/play/channel${count}/index.m3u8?token=wrong${count}`)
      await watch(`agent ${count}`, `/play/channel${count}/index.m3u8?token=demo`)
    }
    const after = await metrics()
    const names = (lines: string[]) => lines.map((line) => line.replace(/ \S+$/, ''))
    const own = (lines: string[]) => names(lines).filter((name) => name.startsWith('hls_auth_'))
    expect(own(after)).toEqual(own(before))
    const value = (name: string) =>
      Number(
        after
          .find((line) => line.startsWith(`${name} `))
          ?.split(' ')
          .at(-1),
      )
    expect(value('hls_auth_decisions_total{outcome="allow",source="backend"}')).toBeGreaterThanOrEqual(20)
    expect(value('hls_auth_backend_request_duration_seconds_count{outcome="deny"}')).toBeGreaterThanOrEqual(
      20,
    )
    expect(value('hls_auth_sessions')).toBe((await sessions()).total)
    expect(value('hls_auth_sessions_closed_total{reason="operator"}')).toBe(3)
  })

  it('has a page that runs no script but its own', async () => {
    const page = await fetch(site, { headers: authorization })
    expect([page.status, page.headers.get('Content-Type')]).toEqual([200, 'text/html; charset=utf-8'])
    expect(page.headers.get('Content-Security-Policy')).toContain("default-src 'none'; script-src 'self'")
  })

  it('never tells a token', async () => {
    const everything = await Promise.all(
      ['/sessions', '/status', '/blocks', '/metrics', '/'].map(async (path) =>
        (await fetch(site + path, { headers: authorization })).text(),
      ),
    )
    expect(everything.join()).not.toMatch(/token=|wrong\d/)
    expect(JSON.stringify(stack.log)).not.toContain(TOKEN)
  })
})

describe('without ADMIN_TOKEN', () => {
  it('whoever opens connections to it has a hundred at most', async () => {
    const stack = await startStack({ hasDemo: false })
    const sockets = Array.from({ length: 130 }, () => connect(stack.service.adminPort!, '127.0.0.1'))
    let closed = 0
    for (const socket of sockets) socket.on('error', () => {}).on('close', () => closed++)
    await expect.poll(() => closed).toBe(30)
    expect((await view(stack.site, '/play/a001/index.m3u8?token=demo')).status).toBe(200)
    for (const socket of sockets) socket.destroy()
    await stack.stop()
  })

  it('a name that leads here by a trick is refused', async () => {
    const stack = await startStack({ hasDemo: false })
    const port = stack.service.adminPort!
    const status = (headers: Record<string, string>) =>
      new Promise((resolve) =>
        get({ port, host: '127.0.0.1', headers }, (reply) => resolve(reply.statusCode)),
      )
    expect(await status({})).toBe(200)
    expect(await status({ Host: `evil.example:${port}` })).toBe(403)
    expect(await status({ Origin: 'http://evil.example' })).toBe(403)
    await stack.stop()
  })

  it('a port that another program has costs the page, and no viewer', async () => {
    const first = await startStack({ hasDemo: false })
    const second = await startStack({ hasDemo: false, env: { ADMIN_PORT: String(first.service.adminPort) } })
    expect(second.log).toContainEqual(expect.objectContaining({ level: 50, error: 'EADDRINUSE' }))
    expect((await view(second.site, '/play/a001/index.m3u8?token=demo')).status).toBe(200)
    await first.stop()
    await second.stop()
  })
})
