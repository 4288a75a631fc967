import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { appendFile, cp, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Environment } from '../../service/config.js'
import { answers, freePort, startNginx, type NginxOptions } from '../nginx/harness.js'
import { ROOT } from '../root.js'
import type { Hole } from './holes.js'

export interface StageOptions {
  /** `php`: four workers of PHP's own web server; `node`: as many questions at once as come. */
  readonly backend?: 'php' | 'node'
  readonly backendEnv?: Environment
  readonly env?: Environment
  readonly changes?: NginxOptions['changes']
  /** Most files of nginx's, as Debian's service has it. */
  readonly nginxFiles?: number
  /** What is changed in the service before it starts. */
  readonly hole?: Hole
}

/** What the service has told so far. */
export interface Told {
  /** Sessions about which the backend has decided anew. */
  rechecks: number
  outages: number
  /** Ended without being told to. */
  crashes: number
}

/** nginx with the shipped configuration, the service as a process of its own, and a backend. */
export interface Stage {
  readonly port: number
  readonly told: Told
  revoke(token: string): Promise<void>
  stop(): Promise<void>
}

export async function setStage(options: StageOptions & { readonly door: string }): Promise<Stage> {
  const prefix = await realpath(await mkdtemp(join(tmpdir(), 'nginx-hls-auth-siege-')))
  const mediaDir = join(prefix, 'media')
  await cp(join(ROOT, 'test/demo/media'), mediaDir, { recursive: true })
  const revoked = join(prefix, 'revoked')
  await writeFile(revoked, '')
  const backend = await startBackend(options, revoked)
  const told: Told = { rechecks: 0, outages: 0, crashes: 0 }
  const service = await startService(options, backend.port, told)
  const nginx = await startNginx({
    prefix,
    port: await freePort(),
    servicePort: service.port,
    mediaDir,
    changes: options.changes ?? [],
    files: options.nginxFiles,
  })
  return {
    port: nginx.port,
    told,
    revoke: (token) => appendFile(revoked, `${token}\n`),
    async stop() {
      await nginx.stop()
      await service.stop()
      await end(backend.child)
      await rm(prefix, { recursive: true, force: true })
    },
  }
}

async function startBackend({ backend = 'node', backendEnv = {} }: StageOptions, revoked: string) {
  const env = { PATH: process.env.PATH, SIEGE_REVOKED: revoked, ...backendEnv }
  if (backend === 'php') {
    const port = await freePort()
    const child = spawn('php', ['-S', `127.0.0.1:${port}`, join(ROOT, 'test/siege/backend.php')], {
      env: { ...env, PHP_CLI_SERVER_WORKERS: '4' },
      stdio: 'ignore',
      // Its workers end with it.
      detached: true,
    })
    endWithThis(child)
    await answers(port, () => !isRunning(child))
    return { child, port }
  }
  const child = spawn(process.execPath, [join(ROOT, 'dist/test/siege/backend.js')], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  endWithThis(child)
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  return { child, port: (JSON.parse(line.toString()) as { port: number }).port }
}

async function startService(
  { env, door, hole }: StageOptions & { door: string },
  backendPort: number,
  told: Told,
) {
  const shim = hole === undefined ? [] : ['--import', join(ROOT, 'dist/test/siege/holes.js')]
  const child = spawn(process.execPath, [...shim, join(ROOT, 'dist/service/main.js')], {
    env: {
      PATH: process.env.PATH,
      SIEGE_HOLE: hole,
      BACKEND_URL: `http://127.0.0.1:${backendPort}/check.php`,
      WHEN_BACKEND_DOWN: door,
      CREDENTIAL_PARAMS: 'token,do',
      SESSION_RECHECK: '10s',
      EDGE_TTL: '2s',
      PORT: '0',
      ADMIN_PORT: 'off',
      STATE_DIR: 'none',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  endWithThis(child)
  let isEnding = false
  child.once('exit', () => {
    if (!isEnding) told.crashes++
  })
  const port = await new Promise<number>((resolve) => {
    createInterface(child.stdout).on('line', (line) => {
      const { msg, port: own, recheck, source } = JSON.parse(line) as Record<string, unknown>
      if (msg === 'listening') resolve(own as number)
      if (recheck === true && source === 'backend') told.rechecks++
      if (String(msg).startsWith('outage began')) told.outages++
    })
  })
  return {
    port,
    async stop() {
      isEnding = true
      await end(child)
    },
  }
}

const isRunning = (child: ChildProcess) => child.exitCode === null && child.signalCode === null

async function end(child: ChildProcess): Promise<void> {
  if (!isRunning(child)) return
  const exited = once(child, 'exit')
  if (child.spawnfile === 'php') killGroup(child)
  else child.kill('SIGTERM')
  await exited
}

/** Of PHP's web server: its workers are processes of their own. */
const killGroup = (child: ChildProcess) => process.kill(-child.pid!, 'SIGKILL')

/** Nothing stays behind a siege that breaks off. */
function endWithThis(child: ChildProcess): void {
  process.once('exit', () => {
    if (!isRunning(child)) return
    if (child.spawnfile === 'php') killGroup(child)
    else child.kill('SIGKILL')
  })
}
