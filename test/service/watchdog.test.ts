import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { afterEach, describe, expect, it } from 'vitest'
import { ROOT } from '../root.js'

const endings: (() => unknown)[] = []
afterEach(() => {
  for (const ending of endings.splice(0)) ending()
})

const WATCHDOG = JSON.stringify(pathToFileURL(join(ROOT, 'dist/service/watchdog.js')))

interface Program {
  readonly limitMs?: number
  readonly isSilent?: boolean
  /** What runs the process, with its arguments. */
  readonly within?: readonly [string, ...string[]]
}

/** A process with a watchdog that runs this code once both run. */
function run(code: string, { limitMs = 500, isSilent = false, within = ['env'] }: Program = {}) {
  const program = `
    import { startWatchdog } from ${WATCHDOG}
    startWatchdog({ limitMs: ${limitMs}, isSilent: ${isSilent}, onError: (error) => console.error(error) })
    function standStill(token) { for (;;) token.length }
    setTimeout(async () => { ${code} }, 300)`
  const [command, ...args] = [...within, process.execPath, '--input-type=module', '--eval', program]
  const child = spawn(command, args)
  endings.push(() => child.kill('SIGKILL'))
  const output = { stdout: '', stderr: '' }
  child.stdout.on('data', (text: Buffer) => (output.stdout += text.toString()))
  child.stderr.on('data', (text: Buffer) => (output.stderr += text.toString()))
  const ended = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>
  return { child, output, ended }
}

const KILLED = [null, 'SIGKILL']

describe('a process that stands still', () => {
  it('ends, and tells in the log where it stood: functions and places, no values', async () => {
    const { ended, output } = run("standStill('top-secret')")
    expect(await ended).toEqual(KILLED)
    expect(output.stdout).toMatch(/^\{.*\}\n$/)
    const { time, stack, ...line } = JSON.parse(output.stdout) as Record<string, unknown>
    expect(line).toEqual({ level: 60, msg: 'stood still for 500ms: the process ends, to be started anew' })
    expect(Math.abs(Date.now() - Number(time))).toBeLessThan(60_000)
    expect(stack).toMatch(
      /^ {4}at standStill \(.+:4:\d+\)\n(?: {4}at .*\n)* {4}at .+\(node:internal\/timers:\d+:\d+\)/,
    )
    expect(output.stdout).not.toContain('top-secret')
  })

  it('outside of JavaScript ends without a stack', async () => {
    const { ended, output } = run(
      "(await import('node:child_process')).execFileSync('sleep', ['60'], { stdio: 'ignore' })",
    )
    expect(await ended).toEqual(KILLED)
    expect(JSON.parse(output.stdout)).toMatchObject({ level: 60, stack: '' })
  })

  it('because the log takes nothing ends all the same', async () => {
    const { child, ended } = run(
      "const { writeSync } = await import('node:fs'); for (;;) try { writeSync(1, 'x'.repeat(1e6)) } catch {}",
    )
    child.stdout.pause()
    await once(child, 'exit')
    child.stdout.resume()
    expect(await ended).toEqual(KILLED)
  })

  it('ends without a word where nothing is logged', async () => {
    const { ended, output } = run('standStill([])', { isSilent: true })
    expect(await ended).toEqual(KILLED)
    expect(output).toEqual({ stdout: '', stderr: '' })
  })

  // A container's first process: the kernel keeps SIGKILL from it.
  const FIRST = ['unshare', '--user', '--map-root-user', '--pid', '--fork', '--kill-child'] as const
  const canBeFirst = spawnSync(FIRST[0], [...FIRST.slice(1), 'true']).status === 0
  it.skipIf(!canBeFirst)('ends as the first process of a container too', async () => {
    const { ended, output } = run('standStill([])', { within: FIRST })
    expect(await ended).toEqual([137, null])
    expect(output.stdout).toContain('stood still')
  })
})

describe('a process is left alone', () => {
  it('that was stopped, or whose machine slept', async () => {
    const { child, output } = run("setInterval(() => console.log('alive'), 50)", { limitMs: 1_000 })
    await expect.poll(() => output.stdout).toContain('alive')
    child.kill('SIGSTOP')
    await sleep(3_000)
    output.stdout = ''
    child.kill('SIGCONT')
    await sleep(2_000)
    expect(output.stdout).toMatch(/^(?:alive\n)+$/)
    expect(child.exitCode ?? child.signalCode).toBeNull()
  })

  it('that is busy and alive', async () => {
    const { child, output } = run(
      `for (let turn = 0; turn < 5; turn++) {
        const end = Date.now() + 800
        while (Date.now() < end);
        await new Promise((resolve) => setTimeout(resolve))
      }
      console.log('done')
      setInterval(() => {}, 1_000)`,
      { limitMs: 2_000 },
    )
    await expect.poll(() => output.stdout).toBe('done\n')
    expect(child.exitCode ?? child.signalCode).toBeNull()
  })

  it('that a debugger holds', async () => {
    const { child, output } = run(
      `const inspector = await import('node:inspector')
      inspector.open(0)
      setTimeout(() => standStill([]), 200)`,
    )
    await sleep(3_000)
    expect(child.exitCode ?? child.signalCode).toBeNull()
    expect(output.stdout).toBe('')
  })

  it('that has nothing more to do: it ends as it would', async () => {
    const { ended, output } = run("console.log('bye')")
    expect(await ended).toEqual([0, null])
    expect(output).toEqual({ stdout: 'bye\n', stderr: '' })
  })
})
