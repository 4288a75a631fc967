import { once } from 'node:events'
import { Agent, request, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http'
import { connect } from 'node:net'

export interface ViewerReply {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

export interface ViewerOptions {
  readonly method?: string
  readonly headers?: OutgoingHttpHeaders
  readonly body?: string
  readonly agent?: Agent
  /** The viewer's own address: any of 127.0.0.0/8. */
  readonly address?: string
}

/** One request of a viewer: the target goes out byte for byte, with a player's User-Agent unless told otherwise. */
export async function view(site: string, target: string, options: ViewerOptions = {}): Promise<ViewerReply> {
  const { method = 'GET', headers = {}, body, agent, address = '127.0.0.1' } = options
  const { hostname, port } = new URL(site)
  const outgoing = request({
    hostname,
    port,
    path: target,
    method,
    headers: { 'User-Agent': 'player/1.0', ...headers },
    agent: agent ?? false,
    localAddress: address,
  })
  outgoing.end(body)
  const [incoming] = (await once(outgoing, 'response')) as [import('node:http').IncomingMessage]
  const chunks: Buffer[] = []
  for await (const chunk of incoming) chunks.push(chunk as Buffer)
  return { status: incoming.statusCode ?? 0, headers: incoming.headers, body: Buffer.concat(chunks) }
}

/** Sends bytes as they are and returns all that comes back until nginx closes. */
export async function sendRaw(site: string, bytes: string): Promise<string> {
  const { hostname, port } = new URL(site)
  const socket = connect(Number(port), hostname)
  socket.setEncoding('latin1')
  let reply = ''
  socket.on('data', (text: string) => (reply += text))
  // nginx resets a connection of which it has not read all.
  socket.on('error', () => {})
  socket.write(bytes, 'latin1')
  await new Promise((resolve) => socket.once('close', resolve))
  return reply
}
