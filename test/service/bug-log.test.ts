import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { pino } from 'pino'
import { expect, it } from 'vitest'
import { createBugLog } from '../../service/bug-log.js'
import { createDemoMiddleware } from '../demo/middleware.js'
import { ROOT } from '../root.js'

it('a bug is told by its stack alone, and at most ten times a second', () => {
  const lines: Record<string, unknown>[] = []
  let nowMs = 0
  const tell = createBugLog(
    pino({ base: null }, { write: (line) => lines.push(JSON.parse(line) as never) }),
    () => nowMs,
  )
  tell(new TypeError('about token=top-secret\n    of two lines'))
  expect(lines).toMatchObject([
    {
      level: 50,
      error: 'TypeError',
      msg: 'a bug',
      stack: expect.stringMatching(/^ {4}at .*bug-log\.test/) as unknown,
    },
  ])
  expect(JSON.stringify(lines)).not.toContain('secret')
  for (let count = 0; count < 100; count++) tell('not even an error')
  expect(lines).toHaveLength(10)
  nowMs = 1_000
  tell(new Error())
  expect(lines).toHaveLength(11)
})

it('what is thrown where nobody catches it does not end the service: nginx would let everybody in', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'nginx-hls-auth-bug-'))
  const shim = join(folder, 'bugs.mjs')
  await writeFile(
    shim,
    "process.on('SIGUSR2', () => {\n  setTimeout(() => { throw new Error('token=top-secret') })\n  void Promise.reject(new Error('token=top-secret'))\n})\n",
  )
  const middleware = createDemoMiddleware('http')
  const child = spawn(process.execPath, ['--import', shim, join(ROOT, 'dist/service/main.js')], {
    env: {
      BACKEND_URL: `http://127.0.0.1:${await middleware.listen()}/portal`,
      PORT: '0',
      ADMIN_PORT: 'off',
      STATE_DIR: 'none',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lines: { msg: string; port: number }[] = []
  createInterface(child.stdout).on('line', (line) => lines.push(JSON.parse(line) as never))
  await expect.poll(() => lines.map(({ msg }) => msg)).toContain('listening')
  child.kill('SIGUSR2')
  await expect.poll(() => lines.filter(({ msg }) => msg === 'a bug').length).toBe(2)
  expect(JSON.stringify(lines)).not.toContain('secret')
  const headers = { 'X-Original-URI': '/play/a001/index.m3u8?token=demo', 'X-Real-IP': '192.0.2.1' }
  expect((await fetch(`http://127.0.0.1:${lines[0]!.port}/auth`, { headers })).status).toBe(200)
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  expect(await exited).toEqual([0, null])
  await middleware.close()
  await rm(folder, { recursive: true })
})
