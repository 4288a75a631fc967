import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { open } from 'lmdb'
import { pino } from 'pino'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { parseConfig } from '../../service/config.js'
import type { SessionEvent } from '../../service/events/session-reporter.js'
import { startService, type RunningService } from '../../service/service.js'
import { freePort } from '../nginx/harness.js'

// The clock of both services, to be put forward.
const ahead = vi.hoisted(() => ({ ms: 0 }))
vi.mock('../../service/clock.js', async (original) => {
  const { now } = await original<typeof import('../../service/clock.js')>()
  return { now: () => now() + ahead.ms }
})

let folder: string
let backend: Server
let answer: number
let receiver: Server
let reported: SessionEvent[]
let one: RunningService
let other: RunningService

const portOf = (server: Server) => (server.address() as AddressInfo).port

async function start(port: number): Promise<RunningService> {
  const config = parseConfig({
    BACKEND_URL: `http://127.0.0.1:${portOf(backend)}/`,
    EVENTS_URL: `http://127.0.0.1:${portOf(receiver)}/`,
    STATE_DIR: folder,
    PORT: String(port),
    ADMIN_PORT: '0',
  })
  return startService(config, pino({ level: 'silent' }))
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nginx-hls-auth-pair-'))
  reported = []
  answer = 200
  backend = createServer((_, response) => response.writeHead(answer).end()).listen(0, '127.0.0.1')
  receiver = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { events } = JSON.parse(Buffer.concat(chunks).toString()) as { events: SessionEvent[] }
      reported.push(...events)
      response.end()
    })
  }).listen(0, '127.0.0.1')
  await Promise.all([once(backend, 'listening'), once(receiver, 'listening')])
  one = await start(await freePort())
  other = await start(await freePort())
})
afterEach(async () => {
  await one.stop()
  await other.stop()
  backend.close()
  receiver.close()
  await rm(folder, { recursive: true, force: true })
})

/** What nginx is told of a viewer by a service. */
async function statusAt({ port }: RunningService, query: string): Promise<number> {
  const headers = {
    'X-Original-URI': `/play/a001/index.m3u8${query}`,
    'X-Real-Host': 'tv',
    'X-Real-IP': '192.0.2.1',
    'X-Real-UA': 'vlc',
  }
  return (await fetch(`http://127.0.0.1:${port}/auth`, { headers })).status
}

async function admin({ adminPort }: RunningService, path: string, method = 'GET') {
  const reply = await fetch(`http://127.0.0.1:${adminPort}${path}`, { method })
  return { status: reply.status, body: (await reply.json()) as Record<string, unknown> }
}

/** Sessions in the archive, as committed. */
async function keptCount(): Promise<number> {
  const kept = open({ path: join(folder, 'sessions'), readOnly: true, maxDbs: 5 })
  const count = kept.openDB({ name: 'sessions', keyEncoding: 'binary' }).getCount()
  await kept.close()
  return count
}

const idsAt = async (service: RunningService) =>
  ((await admin(service, '/sessions')).body.sessions as { client_id: string }[]).map((each) => each.client_id)

/** A viewer of the first service is moved to the second and back, which leaves both with his session. */
async function moveThereAndBack(): Promise<string> {
  expect(await statusAt(one, '?token=1')).toBe(200)
  const { port } = one
  await one.stop()
  expect(await statusAt(other, '')).toBe(200)
  one = await start(port)
  expect(await statusAt(one, '')).toBe(200)
  const ids = await idsAt(other)
  expect(await idsAt(one)).toEqual(ids)
  return ids[0]!
}

it('a block holds at the service that has the viewer by now, and is lifted there too', async () => {
  const id = await moveThereAndBack()
  expect((await admin(other, `/sessions/${id}?block=10m`, 'DELETE')).status).toBe(200)
  await expect.poll(() => statusAt(one, '')).toBe(403)
  expect(await statusAt(one, '?token=2')).toBe(403)
  expect(await statusAt(other, '?token=1')).toBe(403)
  expect(await idsAt(one)).toEqual([])
  expect((await admin(one, `/blocks/${id}`, 'DELETE')).status).toBe(200)
  expect(await statusAt(one, '?token=2')).toBe(200)
  await expect.poll(() => statusAt(other, '?token=3')).toBe(200)
})

it('a session is closed where it is, and reported as closed once', async () => {
  const id = await moveThereAndBack()
  expect((await admin(other, `/sessions/${id}`, 'DELETE')).status).toBe(409)
  expect(await idsAt(other)).toEqual([])
  expect(await statusAt(one, '')).toBe(200)
  expect((await admin(one, `/sessions/${id}`, 'DELETE')).status).toBe(200)
  expect(await statusAt(one, '')).toBe(403)
  await expect.poll(() => reported.map(({ event }) => event)).toEqual(['opened', 'closed'])
})

it('a session that is closed where it is does not go on where it was', async () => {
  const id = await moveThereAndBack()
  ahead.ms += 31_000
  expect((await admin(one, `/sessions/${id}`, 'DELETE')).status).toBe(200)
  await expect.poll(keptCount).toBe(0)
  answer = 403
  expect([await statusAt(one, '?token=1'), await statusAt(other, '')]).toEqual([403, 403])
  expect(await idsAt(other)).toEqual([])
  await expect.poll(() => reported.map(({ event }) => event)).toEqual(['opened', 'closed'])
})

it('a session that has moved is not reported as closed while it is watched', async () => {
  await moveThereAndBack()
  ahead.ms += 400_000
  expect(await statusAt(one, '')).toBe(200)
  ahead.ms += 400_000
  await expect.poll(() => idsAt(other)).toEqual([])
  expect(await idsAt(one)).toHaveLength(1)
  expect(await statusAt(one, '?token=2')).toBe(200)
  await expect.poll(() => reported.map(({ event }) => event)).toEqual(['opened', 'opened'])
})
