import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises'
import { connect, createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { ROOT } from '../root.js'

/** One sentence when this machine has no nginx that can be used. */
export function nginxProblem(): string | undefined {
  const found = spawnSync('nginx', ['-v'], { encoding: 'utf8' })
  if (found.error)
    return 'nginx is not on PATH: install nginx 1.22 or newer (Debian: apt-get install -y nginx).'
  const [, major, minor] = /nginx\/(\d+)\.(\d+)/.exec(found.stderr) ?? []
  const isOld = Number(major) < 1 || (Number(major) === 1 && Number(minor) < 22)
  return isOld ? `nginx ${major}.${minor} on PATH is too old: install 1.22 or newer.` : undefined
}

export interface NginxOptions {
  /** An empty folder for everything that nginx reads and writes. */
  readonly prefix: string
  readonly port: number
  readonly servicePort: number
  /** Served under /play/. */
  readonly mediaDir: string
  /** Files for conf/server.d/: name → contents. */
  readonly extras?: Readonly<Record<string, string>>
  /** Further changes: [file below conf/, text that stands there once, what to put instead]. */
  readonly changes?: readonly (readonly [file: string, from: string, to: string])[]
  /** Most files that a worker may have open; undefined: as many as this process. */
  readonly files?: number | undefined
}

/** Writes the shipped configuration below the prefix, changed only where it names this machine. */
export async function renderNginxConf(options: NginxOptions): Promise<void> {
  const { prefix, port, servicePort, mediaDir, extras = {}, changes = [] } = options
  const conf = join(prefix, 'conf')
  await mkdir(join(conf, 'server.d'), { recursive: true })
  await mkdir(join(prefix, 'logs'), { recursive: true })
  await cp(join(ROOT, 'nginx/nginx.conf'), join(conf, 'nginx.conf'))
  await cp(join(ROOT, 'nginx/hls-auth'), join(conf, 'hls-auth'), { recursive: true })

  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${prefix}/${name};`)
    .join(' ')
  // Workers of a master that root started would run as nobody, who cannot read a temporary folder.
  const user = process.getuid?.() === 0 ? 'user root;\n' : ''
  const local: NginxOptions['changes'] = [
    ['nginx.conf', 'worker_processes auto;', `${user}worker_processes auto;`],
    ['nginx.conf', '/var/log/nginx/error.log warn', `${prefix}/logs/error.log warn`],
    ['nginx.conf', '/var/log/nginx/error.log crit', `${prefix}/logs/error.log crit`],
    ['nginx.conf', 'pid /run/nginx.pid', `pid ${prefix}/nginx.pid`],
    ['nginx.conf', 'http {\n', `http {\n    ${temporary}\n`],
    ['nginx.conf', '/var/log/nginx/access.log', `${prefix}/logs/access.log`],
    ['nginx.conf', 'listen 8080;', `listen 127.0.0.1:${port};`],
    ['nginx.conf', 'alias /srv/hls/;', `alias ${mediaDir}/;`],
    ['hls-auth/http.conf', '/var/cache/nginx-hls-auth', `${prefix}/cache`],
    ['hls-auth/upstream.conf', '127.0.0.1:3000', `127.0.0.1:${servicePort}`],
  ]
  for (const [file, from, to] of [...local, ...changes]) {
    const text = await readFile(join(conf, file), 'utf8')
    if (text.split(from).length !== 2) throw new Error(`nginx/${file} does not hold exactly once: ${from}`)
    // A function, because a string would read `$` as a pattern.
    await writeFile(
      join(conf, file),
      text.replace(from, () => to),
    )
  }
  for (const [name, text] of Object.entries(extras)) await writeFile(join(conf, 'server.d', name), text)
}

export interface RunningNginx {
  readonly port: number
  readonly prefix: string
  /** The exit code, when nginx has ended for whatever reason. */
  readonly exited: Promise<number | null>
  stop(): Promise<void>
  /** Lines of the access log so far. */
  accessLog(): Promise<string[]>
  errorLog(): Promise<string>
}

/**
 * Renders and starts nginx as this user, in the foreground, and waits until it answers.
 *
 * @throws with nginx's own words when it does not start
 */
export async function startNginx(options: NginxOptions): Promise<RunningNginx> {
  await renderNginxConf(options)
  const { prefix, port } = options
  const args = [
    '-p',
    prefix,
    '-c',
    'conf/nginx.conf',
    '-e',
    join(prefix, 'logs/error.log'),
    '-g',
    'daemon off;',
  ]
  const [program, ...before] =
    options.files === undefined
      ? ['nginx']
      : ['prlimit', `--nofile=${options.files}:${options.files}`, 'nginx']
  const child = spawn(program, [...before, ...args], { stdio: ['ignore', 'ignore', 'pipe'] })
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const exited = exitOf(child)
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null
  if (!(await answers(port, hasEnded))) throw new Error(`nginx did not start: ${stderr.trim()}`)
  const log = (name: string) => readFile(join(prefix, 'logs', name), 'utf8')
  return {
    port,
    prefix,
    exited,
    async stop() {
      child.kill('SIGTERM')
      await exited
    },
    accessLog: async () => (await log('access.log')).split('\n').filter((line) => line !== ''),
    errorLog: () => log('error.log'),
  }
}

/** Waits until a port of this machine accepts connections; false when its program has ended instead. */
export async function answers(port: number, hasEnded: () => boolean): Promise<boolean> {
  while (!hasEnded()) {
    const socket = connect(port, '127.0.0.1')
    const isUp = await Promise.race([
      once(socket, 'connect').then(() => true),
      once(socket, 'error').then(() => false),
    ]).catch(() => false)
    socket.destroy()
    if (isUp) return true
    await delay(10)
  }
  return false
}

async function exitOf(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => {
    child.once('error', () => resolve(null))
    child.once('exit', (code) => resolve(code))
  })
}

const givenPorts = new Set<number>()

/** A port that was free a moment ago; another one each time. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  if (givenPorts.has(port)) return freePort()
  givenPorts.add(port)
  return port
}
