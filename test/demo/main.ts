import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdtemp, readFile, realpath, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BACKEND_TYPES, type BackendType } from '../../service/config.js'
import { freePort, nginxProblem, startNginx } from '../nginx/harness.js'
import { ROOT } from '../root.js'
import { announcement } from './announce.js'
import { keepLive } from './live-playlist.js'
import { createDemoMiddleware } from './middleware.js'

/*
 * `npm run demo`: the demo's middleware, the service and nginx with the shipped configuration, all on this machine,
 * as this user, in a temporary folder.
 */

/** Ends the demo with one sentence. */
class DemoError extends Error {}

// What has been started, to be ended in reverse.
const endings: (() => unknown)[] = []
let ended: Promise<never> | undefined

/** Ends the demo, once, whoever asks first. */
function end(code: number): Promise<never> {
  return (ended ??= endAll(code))
}

async function endAll(code: number): Promise<never> {
  // What is starting at this moment has no ending in the list yet, and would be left behind.
  await started
  for (const ending of endings.toReversed()) await ending()
  process.exit(code)
}

async function start(): Promise<void> {
  const port = demoPort(process.env.DEMO_PORT || '8080')
  const type = demoBackend(process.env.DEMO_BACKEND || 'http')
  const problem = nginxProblem()
  if (problem) throw new DemoError(problem)
  await mustBeFree(port)

  const prefix = await realpath(await mkdtemp(join(tmpdir(), 'nginx-hls-auth-demo-')))
  // Retried, because the live playlist may be written at this very moment.
  endings.push(() => rm(prefix, { recursive: true, force: true, maxRetries: 3 }))
  const mediaDir = join(prefix, 'media')
  await cp(join(ROOT, 'test/demo/media'), mediaDir, { recursive: true })
  endings.push(await keepLive(join(mediaDir, 'live')))

  const middleware = createDemoMiddleware(type)
  const middlewarePort = await middleware.listen()
  endings.push(() => middleware.close())

  const servicePort = await freePort()
  const adminPort = await freePort()
  await startServiceProcess(type, `http://127.0.0.1:${middlewarePort}/portal`, servicePort, adminPort)
  if (ended) return

  const page = await readFile(join(ROOT, 'nginx/demo.conf'), 'utf8')
  const extras = { 'demo.conf': page.replace('demo:8000', `127.0.0.1:${middlewarePort}`) }
  const nginx = await startNginx({ prefix, port, servicePort, mediaDir, extras })
  endings.push(() => nginx.stop())
  void nginx.exited.then((code) => hasDied('nginx', code))

  if (!ended) process.stdout.write(announcement(type, port, adminPort))
}

/** Starts the service as an operator does. It logs its decisions to this terminal. */
async function startServiceProcess(
  type: BackendType,
  url: string,
  port: number,
  adminPort: number,
): Promise<void> {
  const child = spawn(process.execPath, [join(ROOT, 'dist/service/main.js')], {
    env: {
      PATH: process.env.PATH,
      BACKEND_TYPE: type,
      BACKEND_URL: url,
      PORT: String(port),
      ADMIN_PORT: String(adminPort),
      STATE_DIR: 'none',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
    // In a group of its own: Ctrl-C reaches this process alone, which ends the others in their order.
    detached: true,
  })
  const exited = once(child, 'exit').then(([code]) => code as number | null)
  endings.push(async () => {
    child.kill('SIGTERM')
    await exited
  })
  void exited.then((code) => hasDied('the service', code))
  child.stdout.pipe(process.stdout, { end: false })
  // Its first line says that it listens.
  await Promise.race([once(child.stdout, 'data'), exited])
}

function hasDied(what: string, code: number | null): void {
  if (ended) return
  process.stderr.write(`demo: ${what} ended by itself with ${code}.\n`)
  void end(1)
}

function demoPort(text: string): number {
  const port = /^\d+$/.test(text) ? Number(text) : NaN
  if (port >= 1 && port <= 65_535) return port
  throw new DemoError(`DEMO_PORT="${text}": must be a whole number from 1 to 65535.`)
}

function demoBackend(text: string): BackendType {
  const type = BACKEND_TYPES.find((name) => name === text)
  if (type) return type
  throw new DemoError(`DEMO_BACKEND="${text}": must be one of ${BACKEND_TYPES.join(', ')}.`)
}

async function mustBeFree(port: number): Promise<void> {
  const server = createServer().listen(port, '127.0.0.1')
  try {
    await once(server, 'listening')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EACCES') throw new DemoError(`port ${port} needs root: set DEMO_PORT to one above 1023.`)
    throw new DemoError(`port ${port} is in use: set DEMO_PORT to another.`)
  }
  server.close()
  await once(server, 'close')
}

// SIGHUP is a terminal that closes; an error of the output, a reader that has gone, as in `npm run demo | head`.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void end(0))
process.stdout.on('error', () => void end(0))

const started = start().catch((error: unknown) => {
  if (ended) return
  process.stderr.write(`demo: ${error instanceof DemoError ? error.message : String(error)}\n`)
  // Not waited for: it waits for this.
  void end(1)
})
