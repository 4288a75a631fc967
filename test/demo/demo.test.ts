import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, describe, expect, it } from 'vitest'
import { BACKEND_TYPES, type Environment } from '../../service/config.js'
import { freePort } from '../nginx/harness.js'
import { ROOT } from '../root.js'
import { livePlaylist } from './live-playlist.js'

const run = promisify(execFile)

let demo: ChildProcess | undefined
afterEach(() => demo?.kill('SIGTERM'))

/** `npm run demo` after its build. */
function startDemo(env: Environment) {
  const child = spawn(process.execPath, [join(ROOT, 'dist/test/demo/main.js')], {
    env: { ...process.env, ...env },
  })
  demo = child
  let output = ''
  child.stdout.on('data', (text: Buffer) => (output += text.toString()))
  child.stderr.on('data', (text: Buffer) => (output += text.toString()))
  const exited = once(child, 'close').then(([code]) => code as number)
  const ready = async () => {
    const ended = exited.then(() => Promise.reject(new Error(`the demo ended: ${output}`)))
    while (!output.includes('\nready ')) await Promise.race([once(child.stdout, 'data'), ended])
    ended.catch(() => {})
    return output
  }
  return { child, exited, ready, output: () => output }
}

describe.each(BACKEND_TYPES)('the demo with DEMO_BACKEND=%s', (type) => {
  it('prints two commands that work whenever they are pasted, plays, and ends on SIGTERM', async () => {
    const port = await freePort()
    const { child, exited, ready } = startDemo({ DEMO_PORT: String(port), DEMO_BACKEND: type })
    const output = await ready()
    expect(output).toMatch(new RegExp(`\\nready http://127.0.0.1:${port}/\\n$`))
    const command = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(output)![1]!
    for (let count = 0; count < 2; count++) {
      expect((await run('sh', ['-c', command('allowed')])).stdout).toBe('200\n')
      expect((await run('sh', ['-c', command('denied')])).stdout).toBe('403\n')
    }
    const page = await fetch(`http://127.0.0.1:${port}/`)
    expect([page.status, await page.text()]).toEqual([200, expect.stringContaining('<video')])
    child.kill('SIGTERM')
    expect(await exited).toBe(0)
    await expect(fetch(`http://127.0.0.1:${port}/`)).rejects.toThrow('fetch failed')
  })
})

describe('the demo says in one sentence, and ends with 1,', () => {
  it.each([
    [{ DEMO_PORT: '0' }, 'demo: DEMO_PORT="0": must be a whole number from 1 to 65535.\n'],
    [{ DEMO_BACKEND: 'x' }, 'demo: DEMO_BACKEND="x": must be one of http, ministra, iptvportal, smarty.\n'],
    [
      { PATH: '/nonexistent' },
      'demo: nginx is not on PATH: install nginx 1.22 or newer (Debian: apt-get install -y nginx).\n',
    ],
  ])('that %j is wrong', async (env, sentence) => {
    const { exited, output } = startDemo(env)
    expect(await exited).toBe(1)
    expect(output()).toBe(sentence)
  })

  it('that its port is in use', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    const { port } = other.address() as AddressInfo
    const { exited, output } = startDemo({ DEMO_PORT: String(port) })
    expect(await exited).toBe(1)
    expect(output()).toBe(`demo: port ${port} is in use: set DEMO_PORT to another.\n`)
    other.close()
  })
})

describe('the live playlist', () => {
  it('slides over the loop, with a discontinuity where it begins again', () => {
    expect(livePlaylist(18)).toBe(
      [
        '#EXTM3U',
        '#EXT-X-VERSION:3',
        '#EXT-X-TARGETDURATION:2',
        '#EXT-X-MEDIA-SEQUENCE:18',
        '#EXT-X-DISCONTINUITY-SEQUENCE:2',
        ...['8.ts', '9.ts'].flatMap((name) => ['#EXTINF:2.000,', name]),
        '#EXT-X-DISCONTINUITY',
        ...['0.ts', '1.ts', '2.ts'].flatMap((name) => ['#EXTINF:2.000,', name]),
        '',
      ].join('\n'),
    )
  })

  it('counts each discontinuity that has left it, once', () => {
    const sequenceAt = (first: number) => Number(/DISCONTINUITY-SEQUENCE:(\d+)/.exec(livePlaylist(first))![1])
    for (let first = 1; first < 40; first++) {
      // What the window's last segment is numbered by must never change as the window moves.
      const numberOf = (at: number) =>
        sequenceAt(at) + livePlaylist(at).split('#EXT-X-DISCONTINUITY\n').length - 1
      const enters = (first + 1 + 4) % 10 === 0 ? 1 : 0
      expect(numberOf(first + 1) - numberOf(first)).toBe(enters)
    }
  })
})
