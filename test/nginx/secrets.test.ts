import { once } from 'node:events'
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sendRaw, view } from './client.js'
import { ROOT } from '../root.js'
import { startStack, type Stack } from './stack.js'

const TOKEN = 'secret-4c1d0de'
const target = (path: string) => `${path}?token=${TOKEN}`

/** Everything, to the last line. */
async function loggedBy(stack: Stack): Promise<string> {
  const access = await stack.nginx.accessLog()
  return [JSON.stringify(stack.log), ...access, await stack.nginx.errorLog()].join('\n')
}

/** All that is ever written about a token, in good times and bad. */
describe('no log holds a token', () => {
  let stack: Stack
  beforeAll(async () => {
    stack = await startStack({ env: { LOG_LEVEL: 'trace' }, hasDemo: false })
  })
  afterAll(() => stack.stop())

  const logged = () => loggedBy(stack)

  it('of viewers who are admitted or refused, by whatever answer of the backend', async () => {
    for (const answer of [200, 204, 302, 400, 401, 403, 404, 429, 500, 503]) {
      stack.middleware.answerWith((request, response) => {
        // The answer echoes what it was asked.
        response
          .writeHead(answer, { Location: request.url, 'X-Session-Name': `viewer ${answer}` })
          .end(request.url)
      })
      await view(stack.site, target(`/play/${answer}/index.m3u8`), {
        headers: { Referer: `http://x/?token=${TOKEN}` },
      })
    }
    expect(await logged()).not.toContain('secret')
  })

  it('of requests that nginx or the file system refuses', async () => {
    stack.middleware.answerWith((_, response) => response.writeHead(200).end())
    await mkdir(join(stack.mediaDir, 'a001/folder'))
    for (const path of [
      '/play/a001/nothing.ts',
      '/play/a001/',
      '/play/a001/folder',
      '/play/a001/index.m3u8/x',
      '/nothing',
      '/',
    ]) {
      await view(stack.site, target(path))
    }
    await view(stack.site, target(`/play/a001/${'x'.repeat(300)}.ts`))
    const head = `Host: x\r\nConnection: close\r\n`
    for (const bytes of [
      `GET ${target('/play/a001/%zz')} HTTP/1.1\r\n${head}\r\n`,
      `GET ${target('/play/a001/x')} x HTTP/1.1\r\n${head}\r\n`,
      `GET ${target(`/play/a001/${'x'.repeat(9_000)}`)} HTTP/1.1\r\n${head}\r\n`,
      `GET ${target('/play/a001/x')} HTTP/1.1\r\n${head}X: ${'x'.repeat(9_000)}\r\n\r\n`,
      `POST ${target('/play/a001/x')} HTTP/1.1\r\n${head}Content-Length: 99999999\r\n\r\n`,
      `POST ${target('/play/a001/x')} HTTP/1.1\r\n${head}Transfer-Encoding: chunked\r\n\r\nzz\r\n`,
      `GET ${target('/play/a001/index.m3u8')} HTTP/1.1\r\n${head}Range: bytes=9-1,x\r\n\r\n`,
    ]) {
      await sendRaw(stack.site, bytes)
    }
    expect(await logged()).not.toContain('secret')
  })

  it('while the backend breaks its answers off', async () => {
    stack.middleware.answerWith((request) => request.socket.destroy())
    await view(stack.site, target('/play/b002/index.m3u8'))
    stack.middleware.answerWith((request) => request.socket.end('HTTP/1.1 what\r\n\r\n'))
    await view(stack.site, target('/play/live/index.m3u8'))
    await stack.middleware.close()
    await view(stack.site, target('/play/c003/index.m3u8'))
    expect(await logged()).not.toContain('secret')
  })

  it('while the service is out of reach, and the access log says so', async () => {
    await rm(join(stack.nginx.prefix, 'cache'), { recursive: true, force: true })
    await stack.stopService()
    await view(stack.site, target('/play/b002/nothing.ts'))
    expect(await logged()).not.toContain('secret')
    expect((await stack.nginx.accessLog()).at(-1)).toMatch(/ 404 .* auth="MISS 502/)
  })
})

/** Sends and hangs up at the answer: nginx would go on reading a body that has not come to its end. */
async function sendAndLeave(site: string, bytes: string): Promise<void> {
  const { hostname, port } = new URL(site)
  const socket = connect(Number(port), hostname).on('error', () => {})
  socket.write(bytes, 'latin1')
  socket.once('data', () => socket.destroy())
  await new Promise((resolve) => socket.once('close', resolve))
}

describe('no log holds a token of a request that no location serves', () => {
  const head = `Host: x\r\nConnection: close\r\n`
  it.each([
    ['not there', '/var/empty/nothing'],
    ['a folder', join(ROOT, 'nginx')],
  ])('where the root is %s', async (_, root) => {
    const stack = await startStack({
      hasDemo: false,
      changes: [['nginx.conf', 'root /var/empty;', `root ${root};`]],
    })
    for (const path of [
      '/',
      '/nothing',
      '/nothing/x',
      '/play',
      '/play/../',
      `/${'x'.repeat(300)}`,
      '/_hls_auth',
    ]) {
      await sendAndLeave(stack.site, `GET ${target(path)} HTTP/1.1\r\n${head}\r\n`)
      for (const body of [
        'Content-Length: 99999999\r\n\r\n',
        'Content-Length: 5\r\n\r\nhello',
        'Transfer-Encoding: chunked\r\n\r\nzz\r\n',
        'Transfer-Encoding: chunked\r\n\r\nffffffff\r\n',
      ]) {
        await sendAndLeave(stack.site, `POST ${target(path)} HTTP/1.1\r\n${head}${body}`)
      }
    }
    // Behind a request to the protected location, on the same connection.
    const first = `GET ${target('/play/a001/index.m3u8')} HTTP/1.1\r\nHost: x\r\n\r\n`
    await sendRaw(stack.site, `${first}GET ${target('/')} HTTP/1.1\r\n${head}\r\n`)
    expect(await stack.nginx.accessLog()).not.toEqual([])
    expect(await loggedBy(stack)).not.toContain('secret')
    await stack.stop()
  })
})

describe.each([
  ['hls', 'access.log hls;'],
  ['hls_json', 'access.log hls_json;'],
])("nginx's log, as %s,", (_, format) => {
  let stack: Stack
  beforeAll(async () => {
    stack = await startStack({ hasDemo: false, changes: [['nginx.conf', 'access.log hls;', format]] })
    stack.middleware.answerWith((_request, response) => response.writeHead(200).end())
  })
  afterAll(() => stack.stop())

  /** The line about one request, once it is there. */
  async function lineOf(path: string, referer = ''): Promise<string> {
    const before = (await stack.nginx.accessLog()).length
    const head = `Host: x\r\nUser-Agent: player/1.0\r\nReferer: ${referer}\r\nConnection: close\r\n`
    await sendRaw(stack.site, `GET ${path} HTTP/1.1\r\n${head}\r\n`)
    await expect
      .poll(async () => (await stack.nginx.accessLog()).length, { interval: 5 })
      .toBeGreaterThan(before)
    return (await stack.nginx.accessLog()).at(-1)!
  }

  // What may stand between a path and a token, and between a name and its value.
  const marks = [
    '?',
    '#',
    '&',
    ';',
    '%3F',
    '%3f',
    '%23',
    '%26',
    '%3B',
    '%3b',
    '%253F',
    '%252525253f',
    '%2526',
  ]
  const equals = ['=', '%3D', '%3d', '%253D']
  const tokens = marks.flatMap((mark) => equals.map((equal) => `${mark}token${equal}${TOKEN}`))

  it('holds no token of a path, whatever it stands behind', async () => {
    const paths = tokens.flatMap((token) => [
      `/play/a001/low/0.ts${token}`,
      `/play/a001${token}/low/0.ts`,
      `/play/A&E/low/0.ts${token}`,
      `/play/A&E/low/0.ts%20;x${token}?y=1`,
      `/nothing${token}`,
      `http://x/play/a001/0.ts${token}`,
    ])
    for (const path of [...paths, `/play/a001/0.ts%3F${TOKEN}`, `http://x?token=${TOKEN}`]) {
      expect(await lineOf(path)).not.toContain(TOKEN)
    }
    expect(await stack.nginx.errorLog()).not.toContain(TOKEN)
  })

  it('holds no token of the page that a browser came from', async () => {
    for (const token of [...tokens, `/token=${TOKEN}`]) {
      const line = await lineOf('/play/a001/low/0.ts', `http://tv.example/watch${token}`)
      expect(line).not.toContain(TOKEN)
      expect(line).toContain('http://tv.example/watch')
    }
  })

  it.each([
    ['/play/A&E/0.ts', 'A&E'],
    ['/play/A&E;HD/0.ts', 'A&E;HD'],
    ['/play/A%26E/0.ts', 'A&E'],
    ['/play/%D0%9A%D0%B0%D0%BD%D0%B0%D0%BB/0.ts', 'Канал'],
    ['/play/100%25/0.ts', '100%'],
    ['/play/a=b/0.ts', 'a=b'],
    ['/play/A&E/QualityLevels(1)/video.ts', 'A&E'],
  ])('holds a name that is none of a token: %s', async (path, channel) => {
    const line = await lineOf(`${path}?token=${TOKEN}`)
    expect(line).toContain(` ${path}"`.slice(format.includes('json') ? 1 : 0))
    expect(line).toContain(`"${channel}"`)
    expect(line).not.toContain(TOKEN)
  })

  it('is written as fast, whatever the path', async () => {
    for (const piece of ['&', ';', '%', '%25', '&a', '%26%25', '=']) {
      const path = `/${piece.repeat(8_000 / piece.length)}`
      const start = performance.now()
      await lineOf(path, path)
      expect(performance.now() - start).toBeLessThan(2_000)
    }
  })
})

describe('no log holds a token', () => {
  it('while the backend is silent, slow or busy,', async () => {
    const stack = await startStack({
      hasDemo: false,
      env: { LOG_LEVEL: 'trace', BACKEND_TIMEOUT: '500ms', BACKEND_CONNECTIONS: '4' },
    })
    stack.middleware.answerViewersWith(() => {})
    // Of four places one is for viewers whom nobody knows, and this address has it: its others wait, and are refused.
    await Promise.all(
      ['a001', 'b002', 'live'].map((channel) => view(stack.site, target(`/play/${channel}/index.m3u8`))),
    )
    expect(stack.log.some(({ backend }) => backend === 'timeout')).toBe(true)
    expect(stack.log.some(({ msg }) => String(msg).startsWith('refused: too many'))).toBe(true)
    stack.middleware.answerViewersWith((request) => {
      const bytes = Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: ${request.url}\x01\r\n\r\n`)
      request.socket.end(bytes)
    })
    await view(stack.site, target('/play/c003/index.m3u8'), { address: '127.0.0.4' })
    expect(stack.log.at(-1)).toMatchObject({ backend: 'malformed' })
    expect(await loggedBy(stack)).not.toContain('secret')
    await stack.stop()
  })

  it('while the cache of nginx is broken', async () => {
    const stack = await startStack({ hasDemo: false })
    stack.middleware.answerWith((_, response) => response.writeHead(200).end())
    const again = async (channel: string) => {
      // nginx may close the connection.
      for (let time = 0; time < 4; time++)
        await view(stack.site, target(`/play/${channel}/index.m3u8`)).catch(() => {})
    }
    await again('a001')
    const cache = join(stack.nginx.prefix, 'cache')
    const files = (await readdir(cache, { recursive: true, withFileTypes: true })).filter((one) =>
      one.isFile(),
    )
    expect(files).not.toEqual([])
    for (const { parentPath, name } of files) await writeFile(join(parentPath, name), 'x'.repeat(1_000))
    await again('a001')
    await rm(cache, { recursive: true })
    await again('b002')
    await writeFile(cache, '')
    await again('live')
    expect(await loggedBy(stack)).not.toContain('secret')
    await stack.stop()
  })

  it('while something else answers in the place of the service', async () => {
    const stack = await startStack({
      hasDemo: false,
      changes: [['hls-auth/location.conf', 'proxy_read_timeout 10s;', 'proxy_read_timeout 100ms;']],
    })
    await stack.service.stop()
    let answer: (socket: Socket) => void = () => {}
    const server = createServer((socket) => {
      socket.on('error', () => {}).once('data', () => answer(socket))
    }).listen(stack.service.port, '127.0.0.1')
    await once(server, 'listening')
    const ok = 'HTTP/1.1 200 OK\r\nCache-Control: max-age=10\r\n'
    const answers: readonly (readonly [string, (socket: Socket) => void])[] = [
      ['502', (socket) => socket.resetAndDestroy()],
      ['502', (socket) => socket.end()],
      ['502', (socket) => socket.end(`${ok}X`)],
      ['502', (socket) => socket.end(`${ok}X\0: y\r\n\r\n`)],
      ['502', (socket) => socket.end(`${ok}X: ${'x'.repeat(20_000)}\r\n\r\n`)],
      ['504', () => {}],
      ['500', (socket) => socket.end('HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n')],
      ['302', (socket) => socket.end('HTTP/1.1 302 No\r\nLocation: /\r\nContent-Length: 0\r\n\r\n')],
      ['-', (socket) => socket.end('what')],
      ['200', (socket) => socket.end(`${ok}Content-Length: 10\r\n\r\nhalf`)],
      ['200', (socket) => socket.end(`${ok}Content-Length: 1\r\n\r\nmore`)],
    ]
    for (const [at, [status, act]] of answers.entries()) {
      answer = act
      await view(stack.site, `${target('/play/a001/index.m3u8')}${at}`).catch(() => {})
      // What the operator is told of it.
      expect((await stack.nginx.accessLog()).at(-1)).toContain(` auth="MISS ${status}" `)
    }
    server.close()
    expect(await loggedBy(stack)).not.toContain('secret')
    await stack.stop()
  })
})
