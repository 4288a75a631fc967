import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { EventSender } from '../../../service/events/event-sender.js'
import { SessionReporter, type SessionEvent } from '../../../service/events/session-reporter.js'
import { sessionKeyOf, viewerKeyOf, type Session } from '../../../service/session.js'

const parts = {
  host: 'tv',
  channelId: 'a001',
  clientIp: '192.0.2.1',
  userAgent: 'vlc',
  credentials: 'token=secret',
}

function session(changes: Partial<Session> = {}): Session {
  const key = sessionKeyOf(parts)
  return {
    key,
    viewerKey: viewerKeyOf(key, parts.credentials),
    id: 'id',
    path: '/play/a001/',
    query: 'token=secret',
    name: 'Ð\x98Ð²Ð°Ð½',
    source: 'backend',
    openedAtMs: 1_000,
    lastSeenAtMs: 1_000,
    recheckAtMs: Infinity,
    failedChecks: 0,
    archivedAtMs: 0,
    ...changes,
  }
}

describe('a session is reported', () => {
  let nowMs = 1_000
  let sent: SessionEvent[] = []
  const clock = { now: () => nowMs }
  function reporter(minDurationMs: number): SessionReporter {
    nowMs = 1_000
    sent = []
    const wallNow = () => nowMs + 1e12
    return new SessionReporter({
      minDurationMs,
      now: () => clock.now(),
      wallNow,
      send: (event) => sent.push(event),
    })
  }

  it('when it opens and when it closes, without its token', () => {
    const report = reporter(0)
    const one = session()
    report.onOpened(one)
    nowMs = 700_000
    one.lastSeenAtMs = 66_900
    report.onClosed(one, 'idle')
    const about = {
      client_id: 'id',
      channel_id: 'a001',
      addr: '192.0.2.1',
      name: 'Иван',
      host: 'tv',
      user_agent: 'vlc',
      source: 'backend',
    }
    expect(sent).toEqual([
      { event: 'opened', time: new Date(1e12 + 1_000).toISOString(), ...about },
      {
        event: 'closed',
        time: new Date(1e12 + 700_000).toISOString(),
        ...about,
        duration: 65,
        reason: 'idle',
      },
    ])
  })

  it('only when it lasts, as soon as it does, and never a closing without an opening', () => {
    const report = reporter(30_000)
    const short = session({ id: 'short' })
    const long = session({ id: 'long' })
    const late = session({ id: 'late' })
    for (const one of [short, long, late]) report.onOpened(one)
    nowMs = 30_999
    report.tick()
    expect(sent).toEqual([])
    nowMs = 31_000
    long.lastSeenAtMs = 31_000
    report.tick()
    late.lastSeenAtMs = 32_000
    for (const one of [short, long, late]) report.onClosed(one, 'operator')
    expect(sent.map(({ event, client_id }) => `${client_id} ${event}`)).toEqual([
      'long opened',
      'long closed',
      'late opened',
      'late closed',
    ])
  })

  it('by the service that has it: nothing is told of one that has moved', () => {
    const report = reporter(0)
    const one = session()
    report.onOpened(one)
    report.onClosed(one, 'moved')
    expect(sent.map(({ event }) => event)).toEqual(['opened'])
  })

  it('in passes that come to an end, however long they take', () => {
    const report = reporter(1)
    for (let number = 0; number < 100; number++) report.onOpened(session())
    // Each look at the clock takes longer than a session must last.
    let looks = 0
    vi.spyOn(clock, 'now').mockImplementation(() => {
      if (++looks > 1_000) throw new Error('without an end')
      return (nowMs += 2)
    })
    report.tick()
    expect(looks).toBeGreaterThan(0)
    vi.restoreAllMocks()
  })
})

describe('events are sent', () => {
  let server: Server | undefined
  afterEach(() => server?.close())

  type Answer = (response: ServerResponse, request: IncomingMessage) => void
  const answers =
    (status: number): Answer =>
    (response) =>
      response.writeHead(status).end()

  async function receiver(...answer: Answer[]) {
    const received: { readonly events: SessionEvent[] }[] = []
    const requests: IncomingMessage[] = []
    server = createServer((request, response) => {
      requests.push(request)
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        received.push(JSON.parse(Buffer.concat(chunks).toString()) as { events: SessionEvent[] })
        ;(answer[received.length - 1] ?? answers(204))(response, request)
      })
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    return {
      url: new URL(`http://me:p%40ss@127.0.0.1:${port}/hook?key=1`),
      received,
      requests,
      all: async () => {
        await expect.poll(() => received.length).toBe(answer.length)
      },
    }
  }

  const event = (id: string) => ({ client_id: id }) as SessionEvent
  const ids = ({ events }: { readonly events: readonly SessionEvent[] }) => events.map((one) => one.client_id)

  function senderTo(url: URL) {
    const lost: [number, string][] = []
    const sender = new EventSender({ url, haste: 1_000, onLost: (count, why) => lost.push([count, why]) })
    return { sender, lost }
  }

  it('in batches and in order, with the account of the address', async () => {
    const { url, received, requests, all } = await receiver(answers(200), answers(204))
    const { sender, lost } = senderTo(url)
    for (let count = 0; count < 501; count++) sender.send(event(String(count)))
    await all()
    expect(received.map((one) => one.events.length)).toEqual([500, 1])
    expect(ids(received[1]!)).toEqual(['500'])
    expect(requests[0]).toMatchObject({ method: 'POST', url: '/hook?key=1' })
    expect(requests[0]!.headers).toMatchObject({
      authorization: `Basic ${Buffer.from('me:p@ss').toString('base64')}`,
      'content-type': 'application/json',
    })
    expect(lost).toEqual([])
  })

  it('again after a failure, six times in all, and then the next', async () => {
    const down: Answer = (_, request) => request.socket.destroy()
    const { url, received, all } = await receiver(
      answers(500),
      down,
      answers(429),
      down,
      down,
      down,
      answers(200),
    )
    const { sender, lost } = senderTo(url)
    for (let count = 0; count < 501; count++) sender.send(event(String(count)))
    await all()
    expect(received.map((one) => one.events.length)).toEqual([500, 500, 500, 500, 500, 500, 1])
    expect(lost).toEqual([[500, expect.stringMatching(/^[A-Z_]+$/)]])
  })

  it('once where the receiver says that it is their fault, and redirects are not followed', async () => {
    const { url, received, all } = await receiver(
      answers(404),
      (response) => response.writeHead(302, { Location: '/elsewhere' }).end(),
      answers(200),
    )
    const { sender, lost } = senderTo(url)
    for (let count = 0; count < 1_001; count++) sender.send(event(String(count)))
    await all()
    expect(received.length).toBe(3)
    expect(lost).toEqual([
      [500, '404'],
      [500, '302'],
    ])
  })

  it.each([
    ['hangs', 60_000],
    ['is slow', 400],
  ])('at the end for a second at most, where the receiver %s', async (_, delayMs) => {
    const slow: Answer = (response) => {
      setTimeout(() => response.end(), delayMs).unref()
    }
    const { url, received } = await receiver(...Array.from({ length: 20 }, () => slow))
    const { sender, lost } = senderTo(url)
    for (let count = 0; count < 9_000; count++) sender.send(event(String(count)))
    await expect.poll(() => received.length).toBe(1)
    await sender.close()
    // All of them would have taken seconds.
    expect(received.length).toBeLessThan(10)
    expect(lost).toEqual([[expect.any(Number), 'timeout']])
    server!.closeAllConnections()
  })

  it('at the end too, without a pause; and nobody waits for a receiver that is gone', async () => {
    const { url, received } = await receiver(answers(200))
    const { sender, lost } = senderTo(url)
    sender.send(event('last'))
    await sender.close()
    expect(received.map(ids)).toEqual([['last']])
    server!.close()
    const { sender: other, lost: lostByOther } = senderTo(url)
    for (let count = 0; count < 1_200; count++) other.send(event(String(count)))
    await other.close()
    expect([lost, lostByOther]).toEqual([[], [[1_200, 'ECONNREFUSED']]])
  })

  it('but not without bound: the oldest of too many are lost', async () => {
    let release = () => {}
    const held = new Promise<void>((resolve) => (release = resolve))
    const { url, received } = await receiver(
      (response) => void held.then(() => response.writeHead(200).end()),
    )
    const { sender, lost } = senderTo(url)
    for (let count = 0; count < 500; count++) sender.send(event(String(count)))
    await expect.poll(() => received.length).toBe(1)
    for (let count = 500; count < 10_501; count++) sender.send(event(String(count)))
    release()
    await sender.close()
    expect(ids(received[1]!)[0]).toBe('1000')
    expect(received.flatMap(ids)).toHaveLength(10_001)
    expect(lost).toEqual([[500, 'too many wait']])
  })
})
