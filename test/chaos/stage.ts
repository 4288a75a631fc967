import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdtemp, readFile, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createDemoMiddleware, type DemoMiddleware } from '../demo/middleware.js'
import { freePort, startNginx } from '../nginx/harness.js'
import { ROOT } from '../root.js'

/** nginx, the service as a process of its own, and a strict Ministra, all of which can be made to fail. */
export interface Stage {
  readonly site: string
  readonly middleware: DemoMiddleware
  closeBackend(): Promise<void>
  openBackend(): Promise<void>
  killService(signal: NodeJS.Signals): Promise<void>
  startService(): Promise<void>
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

  let service: ChildProcess | undefined
  async function startService(): Promise<void> {
    service = spawn(process.execPath, [join(ROOT, 'dist/service/main.js')], {
      env: {
        PATH: process.env.PATH,
        BACKEND_TYPE: 'ministra',
        BACKEND_URL: `http://127.0.0.1:${backendPort}/portal`,
        BACKEND_TIMEOUT: '1s',
        PORT: String(servicePort),
        ADMIN_PORT: 'off',
        STATE_DIR: join(prefix, 'state'),
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(service.stdout!, 'data')
    service.stdout!.resume()
  }
  await startService()
  const nginx = await startNginx({ prefix, port: await freePort(), servicePort, mediaDir })

  async function killService(signal: NodeJS.Signals): Promise<void> {
    const exited = once(service!, 'exit')
    service!.kill(signal)
    await exited
  }
  return {
    site: `http://127.0.0.1:${nginx.port}`,
    middleware,
    closeBackend: () => middleware.close(),
    openBackend: async () => void (await middleware.listen(backendPort)),
    killService,
    startService,
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
