import { once } from 'node:events'
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Writable } from 'node:stream'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { OWN_NAME } from '../../service/backends/astra.js'
import { parseConfig } from '../../service/config.js'
import { startService, type RunningService } from '../../service/service.js'

// The service's clock, to be put forward.
const ahead = vi.hoisted(() => ({ ms: 0 }))
vi.mock('../../service/clock.js', async (original) => {
  const { now } = await original<typeof import('../../service/clock.js')>()
  return { now: () => now() + ahead.ms }
})

let backend: Server
/** Questions that the backend has not answered yet. */
let held: ServerResponse[]
let isHolding: boolean
let log: Record<string, unknown>[]
let service: RunningService

beforeEach(async () => {
  held = []
  isHolding = false
  log = []
  backend = createServer((request, response) => {
    // The service's own questions are answered: it is up.
    if (isHolding && request.headers['x-real-ua'] !== OWN_NAME) held.push(response)
    else response.end()
  }).listen(0, '127.0.0.1')
  await once(backend, 'listening')
  const lines = new Writable({
    write(line: Buffer, _encoding, done) {
      log.push(JSON.parse(line.toString()) as Record<string, unknown>)
      done()
    },
  })
  const config = parseConfig({
    BACKEND_URL: `http://127.0.0.1:${(backend.address() as AddressInfo).port}/`,
    BACKEND_TIMEOUT: '8s',
    BACKEND_SLOW: '0',
    BACKEND_CONNECTIONS: '4',
    SESSION_RECHECK: '10s',
    STATE_DIR: 'none',
    PORT: '0',
    ADMIN_PORT: 'off',
  })
  service = await startService(config, pino({ base: null }, lines))
})
afterEach(() => backend.close())

async function statusOf(query: string): Promise<number> {
  const headers = {
    'X-Original-URI': `/play/a001/index.m3u8${query}`,
    'X-Real-Host': 'tv',
    'X-Real-IP': '192.0.2.1',
  }
  return (await fetch(`http://127.0.0.1:${service.port}/auth`, { headers })).status
}

describe('a service that ends', () => {
  it('waits for what it has asked by itself: the answer may have cost a token that works once', async () => {
    expect(await statusOf('?token=1')).toBe(200)
    isHolding = true
    ahead.ms += 10_000
    expect(await statusOf('?token=1')).toBe(200)
    await expect.poll(() => held.length).toBe(1)
    const stopped = service.stop()
    held[0]!.end()
    await stopped
    expect(log.filter(({ recheck }) => recheck)).toMatchObject([{ outcome: 'allow', source: 'backend' }])
    expect(log.filter(({ msg }) => String(msg).startsWith('outage'))).toEqual([])
  })

  it('has those answered who wait for their turn: nginx would let them in', async () => {
    isHolding = true
    const statuses = [1, 2, 3].map((token) => statusOf(`?token=${token}`))
    // Of four places one is for viewers whom nobody knows.
    await expect.poll(() => held.length).toBe(1)
    const stopped = service.stop()
    for (let answered = 0; answered < 3; answered++) {
      await expect.poll(() => held.length).toBeGreaterThan(answered)
      held[answered]!.writeHead(403).end()
    }
    expect(await Promise.all(statuses)).toEqual([403, 403, 403])
    await stopped
  })
})
