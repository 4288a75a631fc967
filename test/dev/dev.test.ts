import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { ROOT } from '../root.js'

const endings: (() => unknown)[] = []
afterEach(async () => {
  for (const ending of endings.splice(0)) await ending()
})

it('the log is readable, and signals end the service once and in order', async () => {
  // A middleware that takes a question and never answers.
  let questions = 0
  const middleware = createServer(() => questions++).listen(0, '127.0.0.1')
  endings.push(() => middleware.close())
  await once(middleware, 'listening')
  const { port: portal } = middleware.address() as AddressInfo
  const settings = {
    PORT: '0',
    STATE_DIR: 'none',
    ADMIN_PORT: 'off',
    BACKEND_URL: `http://127.0.0.1:${portal}`,
    BACKEND_TIMEOUT: '1s',
  }
  const child = spawn(process.execPath, [join(ROOT, 'dist/test/dev/main.js')], {
    env: { PATH: process.env.PATH, NO_COLOR: '1', ...settings },
    // A group of its own, as in a terminal.
    detached: true,
  })
  endings.push(() => child.kill('SIGTERM'))
  let output = ''
  child.stdout.on('data', (text: Buffer) => (output += text.toString()))
  const closed = once(child, 'close')

  await expect.poll(() => output, { timeout: 20_000 }).toMatch(/^\[[\d:.]+\] INFO: listening \{.*"port":\d+/)
  const site = `http://127.0.0.1:${/"port":(\d+)/.exec(output)![1]}`
  const headers = { 'X-Original-URI': '/play/a001/index.m3u8?token=demo', 'X-Real-IP': '192.0.2.1' }
  const answer = fetch(`${site}/auth`, { headers })
  // The service's own, and the viewer's.
  await expect.poll(() => questions).toBe(2)
  // As Ctrl-C does it: the terminal tells the whole group, and npm tells its child again, sooner or later.
  process.kill(-child.pid!, 'SIGINT')
  child.kill('SIGINT')
  await expect.poll(() => output).toContain('INFO: ending')
  process.kill(-child.pid!, 'SIGINT')
  expect((await answer).status).toBe(200)
  expect(await closed).toEqual([0, null])
  expect(output.split('\n').filter((line) => line.startsWith('{'))).toEqual([])
  expect(output).toMatch(/INFO: ending [^]*\n.*WARN: decided without the backend .*"source":"open-door"/)
  await expect(fetch(`${site}/healthz`)).rejects.toThrow('fetch failed')
})
