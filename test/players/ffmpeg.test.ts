import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, expect, it } from 'vitest'
import { view } from '../nginx/client.js'
import { startStack } from '../nginx/stack.js'
import { WAYS, statusesOf } from './watching.js'

/** Plays in real time and ends with ffmpeg's exit code and the seconds that it played. */
async function play(
  address: string,
  seconds: number,
): Promise<{ code: number; played: number; errors: string }> {
  const args = [
    '-v',
    'error',
    '-nostats',
    '-progress',
    'pipe:1',
    '-re',
    '-i',
    address,
    '-t',
    String(seconds),
    '-f',
    'null',
    '-',
  ]
  const child = spawn('ffmpeg', ['-nostdin', ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  let progress = ''
  let errors = ''
  child.stdout.on('data', (text: Buffer) => (progress += text.toString()))
  child.stderr.on('data', (text: Buffer) => (errors += text.toString()))
  const [code] = (await once(child, 'close')) as [number]
  const played =
    Number(/out_time_us=(\d+)/.exec(progress.slice(progress.lastIndexOf('out_time_us=')))?.[1]) / 1e6
  return { code, played, errors }
}

describe.each(WAYS)('ffmpeg: %s', (_, options) => {
  it.concurrent.each(['live', 'a001', 'b002'])(
    '30 s of %s on a token that is dead after 5 s',
    async (channel) => {
      const stack = await startStack(options)
      const token = stack.middleware.issueToken()
      const address = `${stack.site}play/${channel}/index.m3u8?token=${token}`
      const { code, played, errors } = await play(address, 30)

      expect({ code, isWhole: played >= 29 }).toEqual({ code: 0, isWhole: true })
      // Of the loop's own joints ffmpeg may complain, of its server it may not.
      expect(errors).not.toMatch(/HTTP error|Server returned|Failed to (open|reload)/)
      expect(stack.middleware.questions.length).toBe(1)
      const statuses = await statusesOf(stack)
      expect(Object.keys(statuses).filter((status) => status !== '200' && status !== '206')).toEqual([])
      expect((statuses['200'] ?? 0) + (statuses['206'] ?? 0)).toBeGreaterThan(10)
      // The token really is dead by now: another player does not get in with it.
      const late = await view(stack.site, `/play/${channel}/index.m3u8?token=${token}`)
      expect(late.status).toBe(403)
      await stack.stop()
    },
  )
})
