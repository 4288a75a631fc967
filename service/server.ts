import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createAdaptorServer } from '@hono/node-server'

/** More than nginx can send in four headers of at most 8 KB each (`large_client_header_buffers`). */
const MAX_HEADER_BYTES = 64 * 1024

/**
 * Most connections that may wait to be accepted; the kernel cuts it to net.core.somaxconn. With Node's 511, some hundred
 * requests at the same moment overflow it, and a connection that found it full is tried again only after a second: a
 * viewer could make nginx wait longer than it does, and others with him.
 */
const BACKLOG = 65_535

/** Above the 60 s of `keepalive_timeout` in nginx/hls-auth/upstream.conf: nginx, not the service, closes. */
const KEEP_ALIVE_MS = 75_000

const REFUSAL = 'HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'

export interface ServerOptions {
  readonly host: string
  /** 0 for any free one. */
  readonly port: number
  /** Further ones are closed at once; undefined: as many as there come. */
  readonly maxConnections?: number
}

/** A running server. */
export interface RunningServer {
  readonly port: number
  /** Finishes what is in flight, for at most `graceMs`, and closes every connection. */
  close(graceMs: number): Promise<void>
}

/**
 * Listens for nginx, or for the operator.
 *
 * @throws the listen error: EADDRINUSE, EACCES, EADDRNOTAVAIL, ENOTFOUND
 */
export async function startServer(
  app: Pick<Parameters<typeof createAdaptorServer>[0], 'fetch'>,
  { host, port, maxConnections }: ServerOptions,
): Promise<RunningServer> {
  const server = createAdaptorServer({
    fetch: app.fetch,
    serverOptions: { maxHeaderSize: MAX_HEADER_BYTES, keepAliveTimeout: KEEP_ALIVE_MS },
  }) as Server
  if (maxConnections !== undefined) server.maxConnections = maxConnections
  // What Node cannot parse, a viewer has sent: control bytes in a User-Agent, say. Node's own 400 or 431 would be
  // a 500 for nginx, and with the door open an admission.
  server.on('clientError', (_error, socket) => {
    if (socket.writable) socket.end(REFUSAL)
    else socket.destroy()
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ port, host, backlog: BACKLOG }, resolve)
  })
  return {
    port: (server.address() as AddressInfo).port,
    async close(graceMs) {
      const closed = new Promise((resolve) => server.close(resolve))
      // Connections that become idle only now have to be closed again and again until none is left.
      const idle = setInterval(() => server.closeIdleConnections(), 20)
      const grace = setTimeout(() => server.closeAllConnections(), graceMs)
      server.closeIdleConnections()
      await closed
      clearInterval(idle)
      clearTimeout(grace)
    },
  }
}
