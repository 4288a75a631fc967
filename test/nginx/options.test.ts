import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { view } from './client.js'
import { freePort, startNginx } from './harness.js'
import { QUERY_IN_PLAYLISTS } from './options.js'
import { startStack } from './stack.js'

describe('query-in-playlists.conf', () => {
  it('writes the query behind each address of a playlist, and nothing where there is none', async () => {
    const stack = await startStack({ changes: QUERY_IN_PLAYLISTS })
    const lines = [
      '#EXTM3U',
      '#EXT-X-KEY:METHOD=AES-128,URI="enc.key"',
      '#EXT-X-MAP:URI="init.mp4"',
      '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="main",URI="audio/index.m3u8"',
      '#EXTINF:2,',
      'low/index.m3u8',
      '0.ts',
      '1.m4s',
      '2.mp4',
      '3.aac',
      '4.vtt',
      '',
    ]
    const written = (query: string) =>
      lines.map((line) => line.replace(/\.(key|mp4|m3u8|ts|m4s|aac|vtt)("?)$/, `.$1${query}$2`))
    for (const end of ['\n', '\r\n']) {
      await writeFile(join(stack.mediaDir, 'a001/all.m3u8'), lines.join(end))
      const reply = await view(stack.site, '/play/a001/all.m3u8?token=demo')
      expect(reply.body.toString()).toBe(written('?token=demo').join(end))
      expect((await view(stack.site, '/play/a001/all.m3u8')).body.toString()).toBe(lines.join(end))
    }
    await stack.stop()
  })
})

describe('logs', () => {
  it('as JSON can be read as JSON, whatever a viewer sends', async () => {
    const stack = await startStack({ changes: [['nginx.conf', 'access.log hls;', 'access.log hls_json;']] })
    const agent = 'a"b\\c\td'
    await view(stack.site, '/play/a001/index.m3u8?token=demo', { headers: { 'User-Agent': agent } })
    await view(stack.site, '/play/a001/"\\.m3u8?token=demo', { headers: { 'User-Agent': agent } })
    const lines = (await stack.nginx.accessLog()).map((line) => JSON.parse(line) as unknown)
    expect(lines[0]).toMatchObject({
      status: 200,
      path: '/play/a001/index.m3u8',
      name: 'demo-viewer',
      channel: 'a001',
      agent,
      ip: '127.0.0.1',
    })
    expect(lines[1]).toMatchObject({ status: 403, path: '/play/a001/"\\.m3u8', name: '' })
    await stack.stop()
  })
})

describe('a server without location.conf', () => {
  const LINE = 'include hls-auth/location.conf;'

  it.each([
    ['', 'index.m3u8', '/'],
    ['and even for what is none', 'index.m3u8', '~ ^(?!/static)'],
    ['in a location inside', 'low/0.ts', '/'],
    ['in a named location', 'named/0.ts', '/'],
  ])('serves nothing, although the site has a page for every address, %s', async (_, file, every) => {
    // Another server has the line: nginx starts.
    const other = `server { listen 127.0.0.1:${await freePort()}; ${LINE} }`
    const site = `
      location ${every} { try_files $uri /index.html; }
      location ^~ /play/a001/named/ { try_files /none @named; }
      location @named { root media/page; include hls-auth/protect.conf; }`
    const inside = 'location /play/a001/low/ { alias media/a001/low/; }'
    const stack = await startStack({
      hasDemo: false,
      changes: [
        ['nginx.conf', 'include hls-auth/protect.conf;', `include hls-auth/protect.conf; ${inside}`],
        ['nginx.conf', LINE, site],
        ['nginx.conf', 'root /var/empty;', 'root media/page;'],
        ['nginx.conf', 'keepalive_timeout 65s;', `keepalive_timeout 65s; ${other}`],
      ],
    })
    const page = join(stack.mediaDir, 'page')
    await mkdir(join(page, 'play/a001/named'), { recursive: true })
    await writeFile(join(page, 'play/a001/named/0.ts'), 'segment')
    await writeFile(join(page, 'index.html'), 'home')
    expect((await view(stack.site, '/anything')).body.toString()).toBe('home')
    expect((await view(stack.site, `/play/a001/${file}?token=demo`)).status).toBe(500)
    await stack.stop()
  })

  it('keeps nginx from starting where no server has it', async () => {
    const prefix = await realpath(await mkdtemp(join(tmpdir(), 'nginx-hls-auth-test-')))
    const changes = [['nginx.conf', LINE, '']] as const
    const started = startNginx({ prefix, port: await freePort(), servicePort: 1, mediaDir: prefix, changes })
    await expect(started).rejects.toThrow('unknown "hls_location_conf_is_included" variable')
    await rm(prefix, { recursive: true })
  })
})

describe('protect.conf', () => {
  it('in a location inside another, and in a named one, asks and answers as in any', async () => {
    const inside = 'location /play/a001/low/ { alias media/a001/low/; include hls-auth/protect.conf; }'
    const named = `location ^~ /named/play/ { try_files /none @named; }
      location @named { root media; include hls-auth/protect.conf; }`
    const stack = await startStack({
      env: { CHANNEL_PATTERN: '^(?:/named)?/play/([^/]+)/' },
      hasDemo: false,
      changes: [
        ['nginx.conf', 'include hls-auth/protect.conf;', `include hls-auth/protect.conf; ${inside}`],
        ['nginx.conf', 'root /var/empty;', `root /var/empty; ${named}`],
      ],
    })
    await mkdir(join(stack.mediaDir, 'named/play/a001'), { recursive: true })
    await writeFile(join(stack.mediaDir, 'named/play/a001/0.ts'), 'segment')
    for (const path of ['/play/a001/low/0.ts', '/named/play/a001/0.ts']) {
      expect((await view(stack.site, `${path}?token=wrong`)).status).toBe(403)
      const reply = await view(stack.site, `${path}?token=demo`)
      expect(reply.status).toBe(200)
      expect(reply.headers).toMatchObject({
        'access-control-allow-origin': '*',
        'content-type': 'video/mp2t',
      })
      const preflight = await view(stack.site, path, { method: 'OPTIONS' })
      expect(preflight.status).toBe(204)
      expect(preflight.headers).toMatchObject({
        'access-control-allow-headers': expect.any(String) as string,
      })
    }
    await stack.stop()
  })

  it('in the shipped location protects what a location for file names would serve', async () => {
    const byName = 'location ~* \\.(?:js|css|mp4|ts|m3u8)$ { expires 30d; }'
    const stack = await startStack({
      hasDemo: false,
      changes: [['nginx.conf', 'root /var/empty;', `root site; ${byName}`]],
    })
    await mkdir(join(stack.nginx.prefix, 'site'))
    await symlink(stack.mediaDir, join(stack.nginx.prefix, 'site/play'))
    await writeFile(join(stack.nginx.prefix, 'site/page.js'), 'page')
    expect((await view(stack.site, '/page.js')).body.toString()).toBe('page')
    for (const file of ['index.m3u8', 'low/0.ts', 'low/0.TS']) {
      expect((await view(stack.site, `/play/a001/${file}?token=wrong`)).status).toBe(403)
    }
    expect((await view(stack.site, '/play/a001/low/0.ts?token=demo')).status).toBe(200)
    await stack.stop()
  })
})

describe('behind a CDN', () => {
  it('the realip lines give the service the address that the CDN reports', async () => {
    const stack = await startStack({
      changes: [
        ['nginx.conf', '# set_real_ip_from 192.0.2.0/24;', 'set_real_ip_from 127.0.0.1;'],
        ['nginx.conf', '# real_ip_header X-Forwarded-For;', 'real_ip_header X-Forwarded-For;'],
        ['nginx.conf', '# real_ip_recursive on;', 'real_ip_recursive on;'],
      ],
    })
    const headers = { 'X-Forwarded-For': '198.51.100.9, 203.0.113.7' }
    expect((await view(stack.site, '/play/a001/index.m3u8?token=demo', { headers })).status).toBe(200)
    expect(stack.middleware.questions.at(-1)?.headers['x-real-ip']).toBe('203.0.113.7')
    // The same player at another address is another viewer.
    expect((await view(stack.site, '/play/a001/low/0.ts')).status).toBe(401)
    await stack.stop()
  })
})

describe('nginx itself', () => {
  it('finds nothing to warn of in the shipped configuration', async () => {
    const stack = await startStack()
    const args = ['-t', '-p', stack.nginx.prefix, '-c', 'conf/nginx.conf', '-e', 'stderr']
    const child = spawn('nginx', args, { stdio: ['ignore', 'ignore', 'pipe'] })
    let words = ''
    child.stderr.on('data', (text: Buffer) => (words += text.toString()))
    await once(child, 'close')
    expect(words).toMatch(/test is successful/)
    expect(words).not.toMatch(/\[warn\]|\[emerg\]/)
    await stack.stop()
  })
})
