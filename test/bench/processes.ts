import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Environment } from '../../service/config.js'
import { ROOT } from '../root.js'

/** A process to be measured. */
export interface Measured {
  readonly port: number
  /** The first line that it printed. */
  readonly first: Readonly<Record<string, unknown>> & { readonly port: number }
  readonly child: ChildProcess
  stop(): Promise<void>
}

/** Starts a compiled file and reads its port from the first line that it prints: JSON with `port`. */
export async function start(file: string, args: string[] = [], env: Environment = {}): Promise<Measured> {
  const child = spawn(process.execPath, [join(ROOT, 'dist', file), ...args], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  child.stdout.resume()
  const first = JSON.parse(line.toString().split('\n')[0]!) as Measured['first']
  return {
    port: first.port,
    first,
    child,
    async stop() {
      child.kill('SIGTERM')
      await exited
    },
  }
}

export const startServer = (kind: string) => start('test/bench/servers.js', [kind])

/** The service as operators start it, without its log, which would be measured too. */
export const startService = (env: Environment) =>
  start('service/main.js', [], { PORT: '0', ADMIN_PORT: 'off', STATE_DIR: 'none', ...env })
