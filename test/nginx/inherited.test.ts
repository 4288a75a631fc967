import { mkdir, mkdtemp, readdir, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { view } from './client.js'
import { freePort, renderNginxConf, startNginx, type NginxOptions, type RunningNginx } from './harness.js'
import { answer, startStub, type Stub } from './stub.js'

/*
 * What an operator may have in http { } or server { }: none of it changes who gets in, for how long nginx repeats it, what
 * it does without the service, or who sees a token. Each line stands in a server of its own, which inherits it as from
 * http { }, and all are looked at together.
 */

const LINES = [
  '# nothing',
  // How long nginx repeats an answer, and what it does without one.
  'proxy_cache_use_stale error timeout invalid_header updating http_500 http_502 http_503 http_504 http_403 http_404 http_429;',
  'proxy_ignore_headers Cache-Control; proxy_cache_valid 200 403 10m;',
  'proxy_ignore_headers Cache-Control Expires Set-Cookie; proxy_cache_valid any 10m;',
  'proxy_cache_valid any 10m;',
  'proxy_cache_valid 502 504 10m;',
  'proxy_cache_background_update off;',
  'proxy_cache_bypass $http_user_agent;',
  'proxy_no_cache $http_user_agent;',
  'proxy_cache_key same; proxy_cache_min_uses 100; proxy_cache_methods POST;',
  'proxy_cache_lock on; proxy_cache_lock_timeout 1m; proxy_cache_lock_age 1m;',
  'proxy_cache_max_range_offset 0;',
  'proxy_cache_revalidate on; proxy_cache_convert_head off;',
  'proxy_cache off;',
  'proxy_store on;',
  'proxy_buffering off;',
  'open_file_cache max=1000 inactive=1h; open_file_cache_valid 1h; open_file_cache_errors on;',
  'open_file_cache off;',
  'open_file_cache_min_uses 1000;',
  // What is asked.
  'proxy_method POST;',
  'proxy_method HEAD;',
  'proxy_set_body text;',
  'proxy_set_body $request_body;',
  'proxy_set_header X-Original-URI /play/a001/0.ts?token=good; proxy_set_header Connection close;',
  'proxy_pass_request_headers on; proxy_pass_request_body on; proxy_request_buffering off;',
  'proxy_http_version 1.0; proxy_redirect off; proxy_force_ranges on; proxy_socket_keepalive on;',
  'proxy_hide_header X-Session-Name; proxy_hide_header Cache-Control; proxy_pass_header X-Accel-Redirect;',
  'proxy_bind 192.0.2.1;',
  'proxy_connect_timeout 1ms; proxy_read_timeout 1ms; proxy_send_timeout 1ms;',
  'proxy_next_upstream off; proxy_next_upstream_tries 1; proxy_next_upstream_timeout 1ms;',
  'proxy_ignore_client_abort off; proxy_limit_rate 1;',
  'proxy_buffer_size 1k; proxy_buffers 4 1k; proxy_busy_buffers_size 2k; proxy_temp_file_write_size 2k; proxy_max_temp_file_size 4k;',
  'proxy_max_temp_file_size 0;',
  'proxy_headers_hash_bucket_size 1024;',
  'aio threads; directio 1; sendfile off; output_buffers 1 1k; postpone_output 0; read_ahead 1;',
  'limit_rate 1m; chunked_transfer_encoding off; keepalive_timeout 0; subrequest_output_buffer_size 1;',
  // What becomes of the answer.
  'proxy_intercept_errors on; error_page 401 403 404 =200 /page;',
  'error_page 403 =200 /page; recursive_error_pages on;',
  'error_page 401 403 404 500 502 503 504 = @page; recursive_error_pages on;',
  'error_page 403 http://elsewhere/;',
  'satisfy any; allow all;',
  'satisfy any; allow 127.0.0.0/8; deny all;',
  'satisfy any; auth_basic off;',
  'auth_request off;',
  'auth_request /page; auth_request_set $hls_session_name stranger;',
  'auth_delay 1ms;',
  'try_files $uri /page;',
  'try_files /page /page;',
  'autoindex on; index 0.ts;',
  'add_header X-Ours no always; add_header Cache-Control public always; expires max; etag off; if_modified_since before;',
  'ssi on; ssi_types *; ssi_silent_errors on;',
  'userid on; charset utf-8; override_charset on; gunzip on; gzip on; gzip_min_length 1; gzip_types *;',
  'slice 1k; max_ranges 0; msie_padding on; msie_refresh on; server_tokens on;',
  'post_action /page;',
  'if (!-e $request_filename) { rewrite ^(.*)$ /page last; }',
  'if ($uri !~ ^/play/) { return 200; }',
  'rewrite auth /page last;',
  // How it is sent.
  'merge_slashes off; underscores_in_headers on; ignore_invalid_headers off; large_client_header_buffers 8 64k;',
  'client_body_in_file_only on; client_max_body_size 1; client_body_buffer_size 1;',
  'disable_symlinks off; reset_timedout_connection on; tcp_nodelay off; tcp_nopush off;',
  'default_type text/html; types { text/html ts; }',
  // Where a token could be written.
  'log_subrequest on;',
  'log_subrequest on; error_page 403 =200 /page; recursive_error_pages on;',
  'rewrite_log on; uninitialized_variable_warn on; log_not_found on; error_log logs/server-error.log info;',
  'mirror /mirror;',
  'mirror /mirror; mirror_request_body on;',
  'limit_conn few 9; limit_conn_log_level error; limit_req zone=fast burst=9; limit_req_log_level error;',
] as const

const TOKEN = 'secret'

let prefix: string
let nginx: RunningNginx
let service: Stub
let ports: number[]
/** Requests so far, by line. */
const requests = LINES.map(() => 0)
/** Tokens that the service admits. */
let admitted: string
/** Who asks with `token=secret-together` waits for another who does. */
const waiting = new Map<string, Socket>()
/** Questions to the service that are not as location.conf asks them. */
const odd: string[] = []

async function startService(port?: number): Promise<Stub> {
  return startStub((socket, question) => {
    const isAsShipped =
      /^GET \/auth HTTP\/1\.1\r\nHost: hls-auth\r\nX-Original-URI: \/play\/a001\/0\.ts\?token=\S+\r\nX-Real-Host: line\d+\r\nX-Real-IP: 127\.0\.0\.1\r\nX-Real-UA: player\/1\.0\r\n\r\n$/
    if (!isAsShipped.test(question)) odd.push(question)
    if (question.includes('token=secret-together')) {
      const [line] = /line\d+/.exec(question)!
      const other = waiting.get(line)
      if (!other) waiting.set(line, socket)
      for (const one of other ? [other, socket] : []) one.write(answer(200, 'Cache-Control: no-store'))
      return
    }
    const status = question.includes(`token=${admitted}`) ? 200 : 403
    const headers = [
      'Cache-Control: max-age=1, stale-if-error=300',
      `X-Session-Name: ${'name'.repeat(300)}`,
      'ETag: "1"',
    ]
    socket.write(answer(status, ...headers, 'Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT'))
  }, port)
}

beforeAll(async () => {
  prefix = await realpath(await mkdtemp(join(tmpdir(), 'nginx-hls-auth-inherited-')))
  const mediaDir = join(prefix, 'media')
  await mkdir(join(mediaDir, 'a001'), { recursive: true })
  await mkdir(join(prefix, 'site'))
  // What the server's root has makes a rewrite of what is not there spare it.
  await symlink(mediaDir, join(prefix, 'site/play'))
  await writeFile(join(mediaDir, 'a001/0.ts'), 'segment')
  await writeFile(join(prefix, 'site/page'), 'page')
  admitted = `${TOKEN}-good`
  service = await startService()
  ports = []
  for (const _ of LINES) ports.push(await freePort())

  const changes: NginxOptions['changes'] = [
    ['nginx.conf', 'worker_processes auto;', 'worker_processes 1;'],
    ['nginx.conf', 'root /var/empty;', `root ${prefix}/site;`],
    [
      'nginx.conf',
      'keepalive_timeout 65s;',
      `keepalive_timeout 65s;
       log_format leaks '$request_uri $args $http_referer';
       limit_conn_zone $host zone=few:1m; limit_req_zone $host zone=fast:1m rate=100r/s;`,
    ],
  ]
  const options = { prefix, port: ports[0]!, servicePort: service.port, mediaDir, changes }
  await renderNginxConf(options)
  const conf = await readFile(join(prefix, 'conf/nginx.conf'), 'utf8')
  const from = conf.indexOf('    server {')
  const server = conf.slice(from, conf.lastIndexOf('}'))
  const servers = LINES.map((line, at) =>
    server
      .replace(/listen .*;/, `listen 127.0.0.1:${ports[at]};`)
      .replace('access.log hls;', `access-${at}.log hls;`)
      .replace(
        'include hls-auth/location.conf;',
        `include hls-auth/location.conf;
         ${line.replace('server-error', `server-${at}`)}
         location /page { }
         location @page { return 200 page; }
         location /mirror { internal; log_subrequest on; access_log logs/mirror.log leaks; return 204; }`,
      ),
  )
  nginx = await startNginx({ ...options, changes: [...changes, ['nginx.conf', server, servers.join('\n')]] })
})
afterAll(async () => {
  await nginx.stop()
  await service.stop()
  await rm(prefix, { recursive: true })
})

/** What a viewer gets, in a word or two, from the server with that line. */
async function ask(at: number, token: string): Promise<string> {
  // Who asks for a part of what is admitted asks as anybody.
  const [name, headers] = token === 'part' ? ['good', { Range: 'bytes=2-3' }] : [token, {}]
  const reply = await view(`http://127.0.0.1:${ports[at]}/`, `/play/a001/0.ts?token=${TOKEN}-${name}`, {
    headers: { Host: `line${at}`, Referer: `http://x/?token=${TOKEN}`, ...headers },
  })
  requests[at]!++
  const { 'cache-control': cache, 'access-control-allow-origin': origin } = reply.headers
  const isAsShipped = origin === '*' && cache === (reply.status < 300 ? 'private, max-age=3600' : 'no-store')
  const text = reply.status < 300 ? reply.body.toString() : reply.status
  return `${text}${isAsShipped ? '' : `, ${JSON.stringify(reply.headers)}`}`
}

/** The same for some in turn, with what the log says of how each was answered. */
async function asked(at: number, ...tokens: string[]): Promise<string> {
  const replies = []
  for (const token of tokens) replies.push(await ask(at, token))
  // nginx may write its line when it has closed the connection.
  let lines: string[] = []
  while (lines.length < requests[at]!) {
    await delay(5)
    lines = (await readFile(join(prefix, `logs/access-${at}.log`), 'utf8')).trim().split('\n')
  }
  const auths = lines.slice(-tokens.length).map((line) => /auth="([^"]*)"/.exec(line)?.[1])
  return replies.map((reply, n) => `${tokens[n]}: ${reply} (${auths[n]})`).join('; ')
}

/** Looks at each line, and tells of those where it is not as it should be. */
async function deviations(expected: RegExp | string, look: (at: number) => Promise<string>) {
  const seen = await Promise.all(LINES.map((_, at) => look(at).catch((error: unknown) => String(error))))
  const isRight = (one: string) => (typeof expected === 'string' ? one === expected : expected.test(one))
  return LINES.flatMap((line, at) => (isRight(seen[at]!) ? [] : [[line, seen[at]]]))
}

describe('lines in http { } or server { } change nothing', () => {
  it('in who is admitted, and in what nginx remembers, whatever the range', async () => {
    const expected = 'good: segment (MISS 200); bad: 403 (MISS 403)'
    expect(await deviations(expected, (at) => asked(at, 'good', 'bad'))).toEqual([])
    expect(await deviations(expected, (at) => asked(at, 'good', 'bad'))).toEqual([])
    const remembered = 'good: segment (HIT ); bad: 403 (HIT )'
    expect(await deviations(remembered, (at) => asked(at, 'good', 'bad'))).toEqual([])
    expect(await deviations(/^part: (gm|segment) \(HIT \)$/, (at) => asked(at, 'part'))).toEqual([])
  })

  it('in that nobody waits for what another has asked', async () => {
    const twice = async (at: number) => (await Promise.all([ask(at, 'together'), ask(at, 'together')])).join()
    expect(await deviations('segment,segment', twice)).toEqual([])
    // From the second time on nginx would remember the answer, and could have others wait for it.
    waiting.clear()
    expect(await deviations('segment,segment', twice)).toEqual([])
  })

  it('in how long it is remembered', async () => {
    admitted = `${TOKEN}-bad`
    const start = performance.now()
    await expect
      .poll(() => deviations(/^good: 403 .* bad: segment /, (at) => asked(at, 'good', 'bad')), {
        interval: 200,
      })
      .toEqual([])
    expect(performance.now() - start).toBeLessThan(10_000)
    admitted = `${TOKEN}-good`
    await expect
      .poll(() => deviations(/^good: segment .* bad: 403 /, (at) => asked(at, 'good', 'bad')), {
        interval: 200,
      })
      .toEqual([])
  })

  it('while the service is gone, and when it is back', async () => {
    await service.stop()
    await expect.poll(() => asked(0, 'good')).toBe('good: segment (STALE 502)')
    const gone =
      'good: segment (STALE 502); bad: 403 (STALE 502); new: segment (MISS 502); new: segment (MISS 502)'
    await expect.poll(() => deviations(gone, (at) => asked(at, 'good', 'bad', 'new', 'new'))).toEqual([])
    service = await startService(service.port)
    const back =
      /^new: 403 \(MISS 403\); good: segment \((EXPIRED|MISS) 200\); bad: 403 \((EXPIRED|MISS) 403\)$/
    expect(await deviations(back, (at) => asked(at, 'new', 'good', 'bad'))).toEqual([])
  })

  it('while the service breaks off', async () => {
    service.does((socket) => socket.resetAndDestroy())
    expect(await deviations(/^newer: 403 \(MISS 502(, 502)*\)$/, (at) => asked(at, 'newer'))).toEqual([])
  })

  it('in what is logged', async () => {
    const names = (await readdir(join(prefix, 'logs'))).filter((name) => name !== 'access.log')
    expect(names.length).toBeGreaterThan(LINES.length)
    const logs = await Promise.all(names.map((name) => readFile(join(prefix, 'logs', name), 'utf8')))
    expect(names.filter((_, n) => logs[n]!.includes(TOKEN))).toEqual([])
    // A request, a line.
    const lines = (at: number) => logs[names.indexOf(`access-${at}.log`)]!.trim().split('\n').length
    expect(LINES.map((_, at) => lines(at))).toEqual(requests)
  })

  it('in what is asked', () => {
    expect(odd).toEqual([])
  })
})
