import { once } from 'node:events'
import { connect } from 'node:net'

export interface WireReply {
  readonly status: number
  readonly body: string
}

/**
 * Sends requests one behind the other on one connection without waiting, and on further ones where nginx closes after
 * a bad one.
 *
 * @param requests each a whole request without a body, one character a byte
 * @returns a reply for each; status 0 where nginx closed without one
 */
export async function pipeline(port: number, requests: readonly string[]): Promise<WireReply[]> {
  const replies: WireReply[] = []
  while (replies.length < requests.length) {
    const rest = requests.slice(replies.length)
    const received = await exchange(port, rest.join(''), rest.length)
    // A connection that is reset takes with it what was not read of it: what has no reply is asked once more, alone.
    if (received.length > 0) replies.push(...received)
    else replies.push((await exchange(port, rest[0]!, 1))[0] ?? { status: 0, body: '' })
  }
  return replies
}

async function exchange(port: number, bytes: string, count: number): Promise<WireReply[]> {
  const socket = connect(port, '127.0.0.1').setEncoding('latin1')
  const replies: WireReply[] = []
  let pending = ''
  socket.on('data', (text: string) => {
    pending += text
    for (;;) {
      const endOfHead = pending.indexOf('\r\n\r\n')
      if (endOfHead < 0) return
      const head = pending.slice(0, endOfHead)
      const end = endOfHead + 4 + Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0)
      if (pending.length < end) return
      replies.push({ status: Number(head.slice(9, 12)), body: pending.slice(endOfHead + 4, end) })
      pending = pending.slice(end)
      if (replies.length === count) socket.destroy()
    }
  })
  // nginx resets a connection of which it has not read all.
  socket.on('error', () => {})
  socket.write(bytes, 'latin1')
  await once(socket, 'close')
  return replies
}
