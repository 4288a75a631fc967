import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import type { Environment } from '../../../service/config.js'
import { createDemoMiddleware } from '../../demo/middleware.js'
import { ROOT } from '../../root.js'

const endings: (() => unknown)[] = []
afterEach(async () => {
  for (const ending of endings.splice(0)) await ending()
})

const MAIN = join(ROOT, 'dist/service/check/main.js')

async function run(command: string, args: readonly string[], env: Environment, cwd?: string) {
  const child = spawn(command, args, { env, cwd })
  const output = { stdout: '', stderr: '' }
  child.stdout.on('data', (text: Buffer) => (output.stdout += text.toString()))
  child.stderr.on('data', (text: Buffer) => (output.stderr += text.toString()))
  const [code] = (await once(child, 'close')) as [number]
  return { code, ...output }
}

/** The compiled check as an operator starts it. */
const check = (args: readonly string[], env: Environment = {}) => run(process.execPath, [MAIN, ...args], env)

async function listen() {
  const middleware = createDemoMiddleware('http')
  const BACKEND_URL = `http://127.0.0.1:${await middleware.listen()}/portal`
  endings.push(() => middleware.close())
  return { middleware, env: { BACKEND_URL } }
}

const ADDRESS = 'https://live.example.com:8443/play/a001/index.m3u8?token='

describe('a check ends with', () => {
  it('0 when the backend admits, and 1 when it refuses, having asked once about the viewer it was given', async () => {
    const { env, middleware } = await listen()
    const admitted = await check([`${ADDRESS}demo`, '--ip', '2001:db8::7', '--ua', 'плеер'], env)
    expect(admitted).toMatchObject({ code: 0, stderr: '' })
    expect(admitted.stdout).toMatch(/^Address {6}live\.example\.com \/play\/a001\/index\.m3u8\n/)
    expect(admitted.stdout).toMatch(/^Decision {5}allow: .*\n.*\n?nginx gets {3}200$/m)
    expect(middleware.questions.map(({ headers }) => headers)).toMatchObject([
      {
        'x-real-ip': '2001:db8::7',
        'x-real-host': 'live.example.com',
        'x-real-ua': Buffer.from('плеер').toString('latin1'),
      },
    ])
    const refused = await check([`${ADDRESS}wrong-token`, '--ua', ''], env)
    expect(refused).toMatchObject({ code: 1, stderr: '' })
    expect(refused.stdout).toMatch(/^Decision {5}deny: /m)
    expect(refused.stdout).not.toContain('wrong-token')
    expect(middleware.questions[1]?.headers).toMatchObject({ 'x-real-ip': '127.0.0.1' })
    expect(middleware.questions[1]?.headers).not.toHaveProperty('x-real-ua')
    expect(middleware.questions).toHaveLength(2)
  })

  it('1 when the path is refused without a question', async () => {
    const { env, middleware } = await listen()
    expect(await check(['/play/../x?token=demo'], env)).toMatchObject({ code: 1, stderr: '' })
    expect(middleware.questions).toEqual([])
  })

  it('2 when the backend gives no decision, also where the door is open', async () => {
    const env = { BACKEND_URL: 'http://127.0.0.1:1/' }
    const { code, stdout } = await check([`${ADDRESS}secret-token`], env)
    expect(code).toBe(2)
    expect(stdout).toMatch(/^Decision {5}allow: /m)
    expect(stdout).not.toContain('secret-token')
  })

  it('2 at once where the name server is silent, and does not wait for its answer', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'nginx-hls-auth-check-'))
    endings.push(() => rm(folder, { recursive: true }))
    // As the system's resolver does it: a thread of Node's is kept busy, here by a pipe into which nobody writes.
    const fifo = join(folder, 'silence')
    execFileSync('mkfifo', [fifo])
    const silence = join(folder, 'silence.cjs')
    await writeFile(
      silence,
      `const silent = () => require('fs').readFile(${JSON.stringify(fifo)}, () => {})
       require('dns').lookup = silent
       require('dns').promises.lookup = () => new Promise(silent)
       require('module').syncBuiltinESMExports()`,
    )
    const { code, stdout, stderr } = await check([`${ADDRESS}demo`], {
      NODE_OPTIONS: `--require ${silence}`,
      BACKEND_URL: 'http://portal.example/',
      BACKEND_TIMEOUT: '500ms',
    })
    expect({ code, stderr }).toEqual({ code: 2, stderr: '' })
    expect(stdout).toMatch(/^Answer {7}none: timeout,/m)
    expect(stdout).toMatch(/\nThe name server does not answer about portal\.example: .*\n.*\.\n$/)
  })

  it.each([
    ['no address', [], 'no address given; --help shows one'],
    ['two addresses', ['/a', '/b?token=secret'], 'one address at a time, between quotes'],
    ['an unknown option', ['--token=secret', '/a'], "Unknown option '--token'; --help lists the options"],
    [
      'an option without its value',
      ['/a', '--ip'],
      "Option '--ip <value>' argument missing; --help lists the options",
    ],
    ['no IP address', ['/a', '--ip=here'], '--ip must be an IP address, such as 192.0.2.7'],
    ['a User-Agent over two lines', ['/a', '--ua', 'a\nb'], '--ua must be without control characters'],
    [
      'another scheme',
      ['rtmp://tv/x?token=secret'],
      'the address must begin with http:// or https:// and a host, or with the / of its path',
    ],
    [
      'a query with a space',
      ['/a?token=secret word'],
      'the query holds a space or a control byte: write it as an escape, such as %20',
    ],
    [
      'no settings',
      ['/a'],
      'the settings are wrong:\n  BACKEND_URL is not set: must be an http:// or https:// address',
    ],
  ])('3 and one sentence for %s', async (_, args, sentence) => {
    expect(await check(args)).toEqual({ code: 3, stdout: '', stderr: `nginx-hls-auth: ${sentence}\n` })
  })

  it('0 and what it can do for --help, at 90 columns', async () => {
    const { code, stdout } = await check(['--help'])
    expect(code).toBe(0)
    for (const option of ['--ip', '--ua', '--json', '--help']) expect(stdout).toContain(`  ${option} `)
    expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThan(90)
  })

  it('3 and one sentence where nothing is built', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'nginx-hls-auth-check-'))
    endings.push(() => rm(folder, { recursive: true }))
    await copyFile(join(ROOT, 'package.json'), join(folder, 'package.json'))
    const { PATH, HOME } = process.env
    const args = ['run', '-s', 'check', '--', '/play/a001/x?token=secret']
    expect(await run('npm', args, { PATH, HOME }, folder)).toEqual({
      code: 3,
      stdout: '',
      stderr: 'nginx-hls-auth: not built yet: npm run build\n',
    })
    // And so does the service itself.
    expect(await run('npm', ['run', '-s', 'start'], { PATH, HOME }, folder)).toEqual({
      code: 1,
      stdout: '',
      stderr: 'nginx-hls-auth: not built yet: npm run build\n',
    })
  })
})

it('--json is one object, whose names stay', async () => {
  const { env } = await listen()
  const { code, stdout } = await check(['--json', `${ADDRESS}demo&uid=1234567890#x`], env)
  const report = JSON.parse(stdout) as { question: { headers: Record<string, string> } }
  const session = report.question.headers['X-Session-ID']
  expect(code).toBe(0)
  expect(session).toMatch(/^[\da-f]{32}$/)
  const host = new URL(env.BACKEND_URL).host
  expect(report).toEqual({
    outcome: 'allow',
    address: {
      host: 'live.example.com',
      path: '/play/a001/index.m3u8',
      query: 'token=…&uid=1…0',
      client_ip: '127.0.0.1',
      user_agent: 'nginx-hls-auth-check',
    },
    backend: { type: 'http', url: env.BACKEND_URL },
    channel: 'a001',
    credentials: 'token=… (4 characters), uid=1…0 (10 characters)',
    question: {
      method: 'GET',
      url: `${env.BACKEND_URL}?token=…&uid=1…0`,
      headers: {
        Host: host,
        'User-Agent': 'nginx-hls-auth',
        'Accept-Encoding': 'identity',
        Connection: 'close',
        'X-Session-ID': session,
        'X-Channel-ID': 'a001',
        'X-Real-IP': '127.0.0.1',
        'X-Real-Path': '/play/a001/index.m3u8',
        'X-Real-UA': 'nginx-hls-auth-check',
        'X-Real-Host': 'live.example.com',
      },
    },
    answer: {
      status: 200,
      failure: null,
      error_code: null,
      headers: { 'X-Session-Name': 'demo-viewer' },
      milliseconds: expect.any(Number) as number,
    },
    decision: {
      allowed: true,
      source: 'backend',
      reason: "the backend answered 200; it holds for 3m (http's default), then the backend is asked again",
      recheck_seconds: 180,
      deny_seconds: null,
    },
    reply: {
      status: 200,
      headers: {
        'Content-Length': '0',
        'Cache-Control': 'max-age=5, stale-while-revalidate=4, stale-if-error=300',
        'X-Channel-ID': 'a001',
        'X-Session-ID': session,
        'X-Session-Name': 'demo-viewer',
      },
    },
    advice: expect.arrayContaining([
      { code: 'fragment_left_out', text: 'What begins with # was left out: players do not send it.' },
    ]) as unknown,
  })
})
