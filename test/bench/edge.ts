import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ROOT } from '../root.js'
import { deploy, fileOf, OBJECTS, type ObjectName } from './deployment.js'
import { startServer } from './processes.js'
import { median } from './statistics.js'
import { wrk, type Load } from './wrk.js'

const AGENT = 'Mozilla/5.0 (SMART-TV; Linux; Tizen 6.0) AppleWebKit/537.36'

/** Ways to protect a file, by location of one nginx with one worker. */
const WAYS = {
  open: ['nginx, unprotected', '/open/a001/', ''],
  headers: ['the same, with the headers that we add', '/headers/a001/', ''],
  warm: ['ours, edge cache warm', '/play/a001/', '?token=good'],
  off: ['ours, edge cache off', '/off/a001/', '?token=good'],
  yes: ['auth_request to a node:http that always says 200', '/yes/a001/', '?token=good'],
  secureLink: ['nginx secure_link', '/secure/a001/', ''],
} as const
type Way = keyof typeof WAYS
const ALL_WAYS = Object.keys(WAYS) as Way[]

export interface EdgeRow {
  readonly way: Way
  readonly title: string
  readonly object: ObjectName
  readonly load: Load
  /** Requests per second over those of another way, the median of the rounds' ratios. */
  readonly ratioTo: (other: Way) => number
}

/** Rows 1 to 5: every way in every round, so that a noisy machine is noisy for all. */
export async function measureEdge(rounds: number, seconds: number): Promise<EdgeRow[]> {
  const yes = await startServer('yes')
  const deployment = await deploy({ CHANNEL_PATTERN: '^/(?:play|off)/([^/]+)/' }, async (mediaDir) => ({
    'ways.conf': await otherWays(mediaDir, yes.port),
  }))
  const objects = Object.keys(OBJECTS) as ObjectName[]
  const loads = new Map<string, Load[]>()
  for (let round = 0; round < rounds; round++) {
    for (const object of objects) {
      for (const way of ALL_WAYS) {
        const [title, folder, query] = WAYS[way]
        const file = folder + fileOf(object)
        const target = way === 'secureLink' ? `${file}?${signature(file)}` : file + query
        const load = await wrk(`http://127.0.0.1:${deployment.port}${target}`, {
          seconds,
          headers: { 'User-Agent': AGENT },
        })
        if (load.failed > 0) throw new Error(`${title}: ${load.failed} requests failed`)
        loads.set(way + object, [...(loads.get(way + object) ?? []), load])
      }
    }
  }
  await deployment.stop()
  await yes.stop()

  return objects.flatMap((object) =>
    ALL_WAYS.map((way) => {
      const own = loads.get(way + object)!
      const ratioTo = (other: Way) => {
        const others = loads.get(other + object)!
        return median(own.map((load, round) => load.requestsPerSecond / others[round]!.requestsPerSecond))
      }
      const load = {
        requestsPerSecond: median(own.map((one) => one.requestsPerSecond)),
        p50: median(own.map((one) => one.p50)),
        p99: median(own.map((one) => one.p99)),
        failed: 0,
        requests: own.reduce((sum, one) => sum + one.requests, 0),
      }
      return { way, title: WAYS[way][0], object, load, ratioTo }
    }),
  )
}

/** nginx's own recipe for secure_link: a hash of the path and a secret. */
function signature(file: string): string {
  const expires = 4_102_444_800
  const hash = createHash('md5').update(`${expires}${file} secret`).digest('base64url')
  return `md5=${hash}&expires=${expires}`
}

async function otherWays(mediaDir: string, yesPort: number): Promise<string> {
  const question = await readFile(join(ROOT, 'nginx/hls-auth/location.conf'), 'utf8')
  const uncached = question
    .replace('location = _hls_auth {', 'location = _hls_auth_off {')
    .replace('proxy_cache $hls_memory;', 'proxy_cache off;')
    .replace(/location @hls_auth_down [^]*$/, '')
  const protection = await readFile(join(ROOT, 'nginx/hls-auth/protect.conf'), 'utf8')
  return `
    ${uncached}
    location /off/ { alias ${mediaDir}/; ${protection.replace('auth_request _hls_auth;', 'auth_request _hls_auth_off;')} }
    location /open/ { alias ${mediaDir}/; }
    location /headers/ { alias ${mediaDir}/; ${protection.replaceAll(/^auth_request.*$/gm, '')} }
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
