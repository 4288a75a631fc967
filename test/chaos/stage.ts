import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdtemp, readFile, realpath, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { createDemoMiddleware, type DemoMiddleware } from '../demo/middleware.js'
import { freePort, startNginx } from '../nginx/harness.js'
import { ROOT } from '../root.js'
import { BACKEND_NAME, type ShimState } from './shim.js'

/** The backend's deadline. */
export const DEADLINE_MS = 1_000

/** From the service's line that an outage began until its line that it ended, or its own end; by performance.now(). */
export interface Outage {
  readonly fromMs: number
  untilMs: number
}

/** nginx, the service as a process of its own, and a strict Ministra, all of which can be made to fail. */
export interface Stage {
  readonly site: string
  readonly middleware: DemoMiddleware
  /** What the service has noticed. */
  readonly outages: readonly Outage[]
  /** How many times the service has ended without being told to. */
  readonly crashes: number
  /** When the service was killed outright, by performance.now(). */
  readonly kills: readonly number[]
  closeBackend(): Promise<void>
  openBackend(): Promise<void>
  killService(signal: NodeJS.Signals): Promise<void>
  startService(): Promise<void>
  /** Sets the service's wall clock, or what becomes of its backend's name. */
  shim(change: Partial<ShimState>): void
  /** The service's files can grow no more, until it is started anew. Resolves when it has noticed. */
  /** The service's file cannot grow any more, nor can that of a service that is started from now on. */
  fillDisk(): Promise<void>
  emptyDisk(): void
  reloadNginx(): Promise<void>
  stop(): Promise<void>
}

export async function setStage(): Promise<Stage> {
  const prefix = await realpath(await mkdtemp(join(tmpdir(), 'nginx-hls-auth-chaos-')))
  const mediaDir = join(prefix, 'media')
  await cp(join(ROOT, 'test/demo/media'), mediaDir, { recursive: true })
  const middleware = createDemoMiddleware('ministra')
  const backendPort = await middleware.listen()
  const servicePort = await freePort()
  const outages: Outage[] = []
  const awaited: { readonly begin: string; readonly resolve: () => void }[] = []
  let shimState: ShimState = { clockMs: 0, dns: 'works' }
  let service: ChildProcess | undefined
  /** Most bytes of a file; undefined: as many as the disk has. */
  let mostBytes: number | undefined
  let isEnding = false
  let crashes = 0
  const kills: number[] = []

  function hear(line: string): void {
    const { msg = '' } = JSON.parse(line) as { msg?: string }
    const nowMs = performance.now()
    if (msg.startsWith('outage began')) outages.push({ fromMs: nowMs, untilMs: Infinity })
    if (msg.startsWith('outage ended') || msg === 'gone') {
      for (const outage of outages) outage.untilMs = Math.min(outage.untilMs, nowMs)
    }
    for (const one of awaited) if (msg.startsWith(one.begin)) one.resolve()
  }
  const heard = (begin: string) => new Promise<void>((resolve) => awaited.push({ begin, resolve }))

  async function startService(): Promise<void> {
    isEnding = false
    const args = ['--import', join(ROOT, 'dist/test/chaos/shim.js'), join(ROOT, 'dist/service/main.js')]
    const [program, ...before] =
      mostBytes === undefined ? [process.execPath] : ['prlimit', `--fsize=${mostBytes}:`, process.execPath]
    const child = spawn(program, [...before, ...args], {
      env: {
        PATH: process.env.PATH,
        CHAOS_SHIM: JSON.stringify(shimState),
        BACKEND_TYPE: 'ministra',
        BACKEND_URL: `http://${BACKEND_NAME}:${backendPort}/portal`,
        BACKEND_TIMEOUT: `${DEADLINE_MS}ms`,
        PORT: String(servicePort),
        ADMIN_PORT: 'off',
        STATE_DIR: join(prefix, 'state'),
      },
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    })
    service = child
    child.once('exit', () => {
      if (!isEnding) crashes++
      hear('{"msg":"gone"}')
    })
    createInterface(child.stdout!).on('line', hear)
    await heard('listening')
  }
  await startService()
  const nginx = await startNginx({ prefix, port: await freePort(), servicePort, mediaDir })

  async function killService(signal: NodeJS.Signals): Promise<void> {
    isEnding = true
    const exited = once(service!, 'exit')
    if (signal === 'SIGKILL') kills.push(performance.now())
    service!.kill(signal)
    await exited
  }
  return {
    site: `http://127.0.0.1:${nginx.port}`,
    middleware,
    outages,
    kills,
    get crashes() {
      return crashes
    },
    closeBackend: () => middleware.close(),
    openBackend: async () => void (await middleware.listen(backendPort)),
    killService,
    startService,
    shim(change) {
      shimState = { ...shimState, ...change }
      service!.send(shimState)
    },
    async fillDisk() {
      mostBytes = (await stat(join(prefix, 'state/sessions/data.mdb'))).size
      execFileSync('prlimit', [`--pid=${service!.pid}`, `--fsize=${mostBytes}:`])
    },
    emptyDisk() {
      mostBytes = undefined
      execFileSync('prlimit', [`--pid=${service!.pid}`, '--fsize=unlimited:'])
    },
    async reloadNginx() {
      process.kill(Number(await readFile(join(prefix, 'nginx.pid'), 'utf8')), 'SIGHUP')
    },
    async stop() {
      await nginx.stop()
      await killService('SIGTERM')
      await middleware.close()
      await rm(prefix, { recursive: true, force: true })
    },
  }
}
