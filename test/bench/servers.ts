import { createServer, type RequestListener } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { createAdaptorServer } from '@hono/node-server'
import { Hono } from 'hono'
import type { AddressInfo } from 'node:net'

/*
 * Servers to measure against, each a process of its own: `node servers.js KIND` prints its port as JSON.
 */

/** What a backend that takes its time takes. */
export const BACKEND_DELAY_MS = 20

function answer(status: number, headers = {}): RequestListener {
  return (_, response) => response.writeHead(status, { 'Content-Length': 0, ...headers }).end()
}

const KINDS: Record<string, () => ReturnType<typeof createServer>> = {
  /** The obvious way to answer auth_request. */
  yes: () => createServer(answer(200)),
  /** A backend for viewers whose token is good, and for a flood of others. */
  backend: () =>
    createServer((request, response) =>
      answer(request.url?.includes('token=good') ? 200 : 403, { 'X-Session-Name': 'viewer' })(
        request,
        response,
      ),
    ),
  /** A backend that answers after a while. */
  slow: () =>
    createServer((request, response) => {
      void delay(BACKEND_DELAY_MS).then(() => answer(200, { 'X-Session-Name': 'viewer' })(request, response))
    }),
  /** Hono with the reply of a remembered session, and nothing else. */
  hono: () => {
    const headers = {
      'Content-Length': '0',
      'Cache-Control': 'max-age=5, stale-while-revalidate=4, stale-if-error=300',
      'X-Channel-ID': 'a001',
      'X-Session-ID': '0123456789abcdef0123456789abcdef',
      'X-Session-Name': 'viewer',
    }
    const app = new Hono()
    app.all('/auth', () => new Response(null, { status: 200, headers }))
    return createAdaptorServer({ fetch: app.fetch }) as ReturnType<typeof createServer>
  },
}

const server = KINDS[process.argv[2]!]!()
server.keepAliveTimeout = 75_000
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo
  process.stdout.write(`${JSON.stringify({ port })}\n`)
})
