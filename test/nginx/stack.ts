import { once } from 'node:events'
import { cp, mkdtemp, realpath, rm } from 'node:fs/promises'
import { connect, createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { pino } from 'pino'
import { parseConfig, type BackendType, type Environment } from '../../service/config.js'
import { startService, type RunningService } from '../../service/service.js'
import { keepLive } from '../demo/live-playlist.js'
import { createDemoMiddleware, type DemoMiddleware } from '../demo/middleware.js'
import { ROOT } from '../root.js'
import { freePort, nginxProblem, startNginx, type NginxOptions, type RunningNginx } from './harness.js'

export interface StackOptions {
  readonly type?: BackendType
  /** Settings of the service. */
  readonly env?: Environment
  /** Changes to the shipped nginx configuration. */
  readonly changes?: NginxOptions['changes']
  /** False for nothing but /play/: no page of the demo's. */
  readonly hasDemo?: boolean
}

/** The whole product on this machine: middleware, service and nginx with the shipped configuration. */
export interface Stack {
  readonly middleware: DemoMiddleware
  /** Where the middleware listens, and can again. */
  readonly middlewarePort: number
  readonly service: RunningService
  readonly nginx: RunningNginx
  readonly mediaDir: string
  /** Address of nginx, with a slash at its end. */
  readonly site: string
  /** What the service has logged, one object a line. */
  readonly log: readonly Record<string, unknown>[]
  /** Connections that nginx has opened to the service so far. */
  readonly connections: () => number
  /** Questions that nginx has asked the service so far. */
  readonly questions: () => number
  /** Ends the service, and with it the port at which nginx asks. */
  stopService(): Promise<void>
  stop(): Promise<void>
}

export async function startStack({
  type = 'http',
  env = {},
  changes = [],
  hasDemo = true,
}: StackOptions = {}): Promise<Stack> {
  const problem = nginxProblem()
  if (problem) throw new Error(problem)

  const prefix = await realpath(await mkdtemp(join(tmpdir(), 'nginx-hls-auth-test-')))
  const mediaDir = join(prefix, 'media')
  await cp(join(ROOT, 'test/demo/media'), mediaDir, { recursive: true })
  const stopLive = await keepLive(join(mediaDir, 'live'))

  const middleware = createDemoMiddleware(type)
  const middlewarePort = await middleware.listen()

  const log: Record<string, unknown>[] = []
  const lines = new Writable({
    write(line: Buffer, _encoding, done) {
      log.push(JSON.parse(line.toString()) as Record<string, unknown>)
      done()
    },
  })
  const url = `http://127.0.0.1:${middlewarePort}/portal`
  const ports = { PORT: '0', ADMIN_PORT: '0' }
  const config = parseConfig({ BACKEND_TYPE: type, BACKEND_URL: url, ...ports, STATE_DIR: 'none', ...env })
  const service = await startService(config, pino({ level: 'debug', base: null }, lines))
  // It knows then what the backend answers while all is well.
  while (middleware.ownQuestions === 0) await delay(1)
  const relay = await startRelay(service.port)

  const demo = { 'demo.conf': `location / { proxy_pass http://127.0.0.1:${middlewarePort}; }` }
  const extras = hasDemo ? demo : {}
  const port = await freePort()
  const nginx = await startNginx({ prefix, port, servicePort: relay.port, mediaDir, extras, changes })
  return {
    middleware,
    middlewarePort,
    service,
    nginx,
    mediaDir,
    site: `http://127.0.0.1:${port}/`,
    log,
    connections: relay.connections,
    questions: relay.questions,
    async stopService() {
      relay.close()
      await service.stop()
    },
    async stop() {
      stopLive()
      await nginx.stop()
      relay.close()
      await service.stop()
      await middleware.close()
      await rm(prefix, { recursive: true, force: true })
    },
  }
}

interface Relay {
  /** Listens no more. What is connected ends with the service. */
  readonly close: () => void
  readonly port: number
  readonly connections: () => number
  readonly questions: () => number
}

/** Stands between nginx and the service and counts. */
async function startRelay(target: number): Promise<Relay> {
  let connections = 0
  let questions = 0
  const server = createServer((near) => {
    connections++
    const far = connect(target, '127.0.0.1')
    near.on('data', (bytes) => (questions += bytes.toString('latin1').split('GET /auth ').length - 1))
    near.pipe(far).pipe(near)
    near.on('error', () => far.destroy())
    // A connection that breaks off does so for nginx too.
    far.on('error', () => near.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return { close: () => server.close(), port, connections: () => connections, questions: () => questions }
}
