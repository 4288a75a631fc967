import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sendRaw, view } from './client.js'
import { startStack, type Stack } from './stack.js'

const TOKEN = 'secret-4c1d0de'
const target = (path: string) => `${path}?token=${TOKEN}`

/** All that is ever written about a token, in good times and bad. */
describe('no log holds a token', () => {
  let stack: Stack
  beforeAll(async () => {
    stack = await startStack({ env: { LOG_LEVEL: 'trace' }, hasDemo: false })
  })
  afterAll(() => stack.stop())

  /** Everything, to the last line. */
  async function logged(): Promise<string> {
    const access = await stack.nginx.accessLog()
    return [JSON.stringify(stack.log), ...access, await stack.nginx.errorLog()].join('\n')
  }

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
    await stack.service.stop()
    await view(stack.site, target('/play/b002/nothing.ts'))
    expect(await logged()).not.toContain('secret')
    expect((await stack.nginx.accessLog()).at(-1)).toMatch(/ 404 .* auth="MISS 502/)
  })
})
