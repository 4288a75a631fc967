import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'

/** In the place of the service: does to each connection what it is told, once a question has come on it. */
export interface Stub {
  readonly port: number
  /** Questions so far. */
  readonly questions: () => number
  /** Connections so far. */
  readonly connections: () => number
  /** For this question and all that follow. */
  does(act: Act): void
  /** Takes no new connections; those that are there stay. */
  close(): void
  /** Cuts those too, and waits until the port is free. */
  stop(): Promise<void>
}

export type Act = (socket: Socket, question: string) => void

/** An answer as bytes: a status, and further header lines. */
export const answer = (status: number, ...headers: string[]): string =>
  [`HTTP/1.1 ${status} X`, 'Content-Length: 0', ...headers, '', ''].join('\r\n')

/** @param port 0 for any */
export async function startStub(act: Act, port = 0): Promise<Stub> {
  let now = act
  let questions = 0
  let connections = 0
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    connections++
    sockets.add(socket)
    socket.on('error', () => {}).on('close', () => sockets.delete(socket))
    socket.on('data', (bytes) => {
      questions++
      now(socket, bytes.toString('latin1'))
    })
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as { port: number }).port,
    questions: () => questions,
    connections: () => connections,
    does: (next) => (now = next),
    close: () => server.close(),
    async stop() {
      const isClosed = new Promise((resolve) => server.close(resolve))
      for (const socket of sockets) socket.destroy()
      await isClosed
    },
  }
}
