import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort, startNginx } from '../nginx/harness.js'
import { ROOT } from '../root.js'
import { startServer, startService } from './processes.js'
import { median } from './statistics.js'
import { wrk, type Load } from './wrk.js'

const AGENT = 'Mozilla/5.0 (SMART-TV; Linux; Tizen 6.0) AppleWebKit/537.36'
const OBJECTS = { '4 KB': 4_096, '1 MB': 1_048_576 } as const

/** Ways to protect a file, by location of one nginx with one worker. */
const WAYS = [
  ['nginx, unprotected', '/open/a001/', ''],
  ['ours, edge cache warm', '/play/a001/', '?token=good'],
  ['ours, edge cache off', '/off/a001/', '?token=good'],
  ['auth_request to a server that always says 200', '/yes/a001/', '?token=good'],
  ['nginx secure_link', '/secure/a001/', ''],
] as const

export interface EdgeRow {
  readonly way: string
  readonly object: string
  readonly load: Load
  /** Requests per second over those of the unprotected file, the median of the rounds' ratios. */
  readonly toUnprotected: number
  readonly toAlwaysYes: number
}

/** Rows 1 to 5: every way in every round, so that a noisy machine is noisy for all. */
export async function measureEdge(rounds: number, seconds: number): Promise<EdgeRow[]> {
  const prefix = await realpath(await mkdtemp(join(tmpdir(), 'nginx-hls-auth-bench-')))
  const mediaDir = join(prefix, 'media')
  await mkdir(join(mediaDir, 'a001'), { recursive: true })
  for (const [name, bytes] of Object.entries(OBJECTS)) {
    await writeFile(join(mediaDir, 'a001', fileOf(name)), Buffer.alloc(bytes, 'x'))
  }
  const backend = await startServer('backend')
  const service = await startService({
    BACKEND_URL: `http://127.0.0.1:${backend.port}/`,
    CHANNEL_PATTERN: '^/(?:play|off)/([^/]+)/',
  })
  const yes = await startServer('yes')
  const port = await freePort()
  const nginx = await startNginx({
    prefix,
    port,
    servicePort: service.port,
    mediaDir,
    changes: [['nginx.conf', 'worker_processes auto;', 'worker_processes 1;']],
    extras: { 'ways.conf': await otherWays(mediaDir, yes.port) },
  })
  const loads = new Map<string, Load[]>()
  for (let round = 0; round < rounds; round++) {
    for (const object of Object.keys(OBJECTS)) {
      for (const [way, folder, query] of WAYS) {
        const file = folder + fileOf(object)
        const target = way.includes('secure_link') ? `${file}?${signature(file)}` : file + query
        const load = await wrk(`http://127.0.0.1:${port}${target}`, {
          seconds,
          headers: { 'User-Agent': AGENT },
        })
        if (load.failed > 0) throw new Error(`${way}: ${load.failed} requests failed`)
        loads.set(way + object, [...(loads.get(way + object) ?? []), load])
      }
    }
  }
  await nginx.stop()
  for (const process of [service, backend, yes]) await process.stop()
  await rm(prefix, { recursive: true })

  return Object.keys(OBJECTS).flatMap((object) =>
    WAYS.map(([way]) => {
      const own = loads.get(way + object)!
      const ratioTo = (other: string) =>
        median(
          own.map(
            (load, round) => load.requestsPerSecond / loads.get(other + object)![round]!.requestsPerSecond,
          ),
        )
      const load = {
        requestsPerSecond: median(own.map((one) => one.requestsPerSecond)),
        p50: median(own.map((one) => one.p50)),
        p99: median(own.map((one) => one.p99)),
        failed: 0,
        requests: own.reduce((sum, one) => sum + one.requests, 0),
      }
      return { way, object, load, toUnprotected: ratioTo(WAYS[0][0]), toAlwaysYes: ratioTo(WAYS[3][0]) }
    }),
  )
}

const fileOf = (object: string) => `${object.replace(' ', '')}.ts`

/** nginx's own recipe for secure_link: a hash of the path and a secret. */
function signature(file: string): string {
  const expires = 4_102_444_800
  const hash = createHash('md5').update(`${expires}${file} secret`).digest('base64url')
  return `md5=${hash}&expires=${expires}`
}

async function otherWays(mediaDir: string, yesPort: number): Promise<string> {
  const question = await readFile(join(ROOT, 'nginx/hls-auth/location.conf'), 'utf8')
  const uncached = question
    .replace('location = /_hls_auth {', 'location = /_hls_auth_off {')
    .replace('proxy_cache $hls_memory;', 'proxy_cache off;')
    .replace(/location @hls_auth_down \{[^}]*\}/, '')
  const protection = await readFile(join(ROOT, 'nginx/hls-auth/protect.conf'), 'utf8')
  return `
    ${uncached}
    location /off/ { alias ${mediaDir}/; ${protection.replace('auth_request /_hls_auth;', 'auth_request /_hls_auth_off;')} }
    location /open/ { alias ${mediaDir}/; }
    location = /_yes {
        internal;
        proxy_pass http://127.0.0.1:${yesPort}/;
        proxy_pass_request_body off;
        proxy_set_header Content-Length "";
        proxy_set_header X-Original-URI $request_uri;
    }
    location /yes/ { alias ${mediaDir}/; auth_request /_yes; }
    location /secure/ {
        alias ${mediaDir}/;
        secure_link $arg_md5,$arg_expires;
        secure_link_md5 "$secure_link_expires$uri secret";
        if ($secure_link = "") { return 403; }
        if ($secure_link = "0") { return 410; }
    }`
}
