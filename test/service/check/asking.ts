import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { createExchange, type Exchange } from '../../../service/backends/exchange.js'
import { notesOn, readAddress } from '../../../service/check/address.js'
import { check, type CheckOptions } from '../../../service/check/check.js'
import { explain, type Report } from '../../../service/check/explain.js'
import { layOut } from '../../../service/check/layout.js'
import { parseConfig, type Environment } from '../../../service/config.js'
import { headerFromText } from '../../../service/header-text.js'

/** A backend that answers each connection's question as it is told to. */
export interface Backend {
  readonly port: number
  /** Whole questions, as bytes. */
  readonly questions: string[]
  close(): Promise<void>
}

export async function listen(answer: (socket: Socket, question: string) => void): Promise<Backend> {
  const questions: string[] = []
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.setEncoding('latin1').on('error', () => {})
    let text = ''
    socket.on('data', (more: string) => {
      text += more
      // TLS: a handshake where a question should be, to which web servers answer in plain text.
      if (text.startsWith('\x16')) socket.end(answered(400))
      if (!text.endsWith('\r\n\r\n')) return
      questions.push(text)
      answer(socket, text)
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    questions,
    async close() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

/** An answer without a body. */
export const answered = (status: number, headers = '') =>
  `HTTP/1.1 ${status} X\r\n${headers}${/^content-length/im.test(headers) ? '' : 'Content-Length: 0\r\n'}\r\n`

/** Its own clock stands still but for what an answer takes. */
export async function ask(
  env: Environment,
  answer: string | ((socket: Socket, question: string) => void),
  {
    address = '/play/a001/index.m3u8?token=Zq7-secret',
    tookMs = 12,
    exchange,
    lookup = () => Promise.resolve(),
  }: AskOptions = {},
): Promise<{ readonly report: Report; readonly text: string; readonly questions: readonly string[] }> {
  let clock = 1_000
  const backend = await listen((socket, question) => {
    // One that follows it, about nobody, is not what is timed.
    if (backend.questions.length === 1) clock += tookMs
    if (typeof answer === 'string') socket.end(headerFromText(answer), 'latin1')
    else answer(socket, question)
  })
  const url = `http://127.0.0.1:${backend.port}/check`
  const config = parseConfig({
    ...env,
    BACKEND_URL: env.BACKEND_URL?.replace('PORT', String(backend.port)) ?? url,
  })
  const read = readAddress(address)
  if ('problem' in read) throw new Error(read.problem)
  const { host, path, query } = read
  const finding = await check({ host, path, query, clientIp: '192.0.2.7', userAgent: 'player/1.0' }, config, {
    exchange: exchange ?? createExchange({ timeoutMs: config.backendTimeoutMs }),
    ownExchange: exchange ?? createExchange({ timeoutMs: config.backendTimeoutMs, lingerMs: 0 }),
    lookup,
    now: () => clock,
  })
  await backend.close()
  const report = explain(finding, notesOn(read))
  // Ports have five digits, and sessions 32: the lines break where they broke.
  const text = layOut(report)
    .replaceAll(String(backend.port), '50000')
    .replace(/[\da-f]{32}/g, '0'.repeat(32))
  return { report, text, questions: backend.questions }
}

interface AskOptions {
  readonly address?: string
  /** How long an answer takes, in milliseconds of the check's clock. */
  readonly tookMs?: number
  /** Instead of the real one. */
  readonly exchange?: Exchange
  /** Of names; undefined: each is known at once. */
  readonly lookup?: CheckOptions['lookup']
}
