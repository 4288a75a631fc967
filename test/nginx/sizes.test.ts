import { mkdir, mkdtemp, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { view, type ViewerOptions } from './client.js'
import { freePort, startNginx, type NginxOptions, type RunningNginx } from './harness.js'
import { answer, startStub, type Act, type Stub } from './stub.js'

/*
 * What is scarce: connections, files, ports. Whoever uses it up is served nothing, and keeps others waiting for as short
 * a time as can be. The service is a stub.
 */

let nginx: RunningNginx
let service: Stub
let prefix: string
afterEach(async () => {
  await nginx.stop()
  await service.stop()
  await rm(prefix, { recursive: true })
})

async function start(act: Act, changes: NginxOptions['changes'] = []): Promise<void> {
  prefix = await realpath(await mkdtemp(join(tmpdir(), 'nginx-hls-auth-sizes-')))
  const mediaDir = join(prefix, 'media')
  await mkdir(join(mediaDir, 'a001'), { recursive: true })
  await writeFile(join(mediaDir, 'a001/0.ts'), 'segment')
  service = await startStub(act)
  nginx = await startNginx({
    prefix,
    port: await freePort(),
    servicePort: service.port,
    mediaDir,
    changes: [['nginx.conf', 'worker_processes auto;', 'worker_processes 1;'], ...changes],
  })
}

const refuse: Act = (socket) => socket.write(answer(403, 'Cache-Control: max-age=60'))
const hang: Act = () => {}

let number = 0
const get = (query = `token=new${number++}`) => `GET /play/a001/0.ts?${query} HTTP/1.1\r\nHost: x\r\n`
const ask = async (query?: string, options?: ViewerOptions) =>
  (await view(`http://127.0.0.1:${nginx.port}/`, get(query).split(' ')[1]!, options)).status

/** A connection, and the first line of all that comes on it until it is closed. */
function open(): { socket: Socket; status: Promise<string> } {
  const socket = connect(nginx.port, '127.0.0.1').setEncoding('latin1')
  let reply = ''
  socket.on('data', (text: string) => (reply += text)).on('error', () => {})
  // nginx may reset what it has no room for.
  const status = new Promise<string>((resolve) =>
    socket.once('close', () => resolve(reply.split(' ')[1] ?? 'closed')),
  )
  return { socket, status }
}

/** As many requests at the same moment, each on a connection of its own: how often which status came. */
async function burst(count: number): Promise<Record<string, number>> {
  const requests = Array.from({ length: count }, () => {
    const { socket, status } = open()
    socket.write(`${get()}Connection: close\r\n\r\n`)
    return status
  })
  return countEach(await Promise.all(requests))
}

function countEach(statuses: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const status of statuses) counts[status] = (counts[status] ?? 0) + 1
  return counts
}

/** Files that nginx's only worker has open. */
async function openFiles(): Promise<number> {
  const master = (await readFile(join(prefix, 'nginx.pid'), 'utf8')).trim()
  const children = await readFile(`/proc/${master}/task/${master}/children`, 'utf8')
  const names = await Promise.all(
    children
      .trim()
      .split(' ')
      .map(async (pid) => [pid, await readFile(`/proc/${pid}/cmdline`, 'utf8')] as const),
  )
  const [worker] = names.find(([, name]) => name.includes('worker'))!
  return (await readdir(`/proc/${worker}/fd`)).length
}

describe('a worker that has no connection left', () => {
  const few = [['nginx.conf', 'worker_connections 4096;', 'worker_connections 64;']] as const

  it('serves nobody on that account', async () => {
    await start(refuse, few)
    const halves = Array.from({ length: 80 }, open)
    for (const { socket } of halves) socket.write(get())
    await expect.poll(() => openFiles().catch(() => 0)).toBeGreaterThan(60)
    for (const { socket } of halves) socket.write('Connection: close\r\n\r\n')
    const counts = countEach(await Promise.all(halves.map(({ status }) => status)))
    expect(counts).not.toHaveProperty('200')
    expect(counts).not.toHaveProperty('500')
    expect(await ask()).toBe(403)
  })

  it('has some again soon, when it was by requests that do not end', async () => {
    const soon = ['nginx.conf', 'client_header_timeout 10s;', 'client_header_timeout 500ms;'] as const
    await start((socket) => socket.write(answer(200)), [...few, soon])
    const halves = Array.from({ length: 80 }, open)
    for (const { socket } of halves) socket.write(get())
    await expect.poll(() => openFiles().catch(() => 0)).toBeGreaterThan(60)
    // nginx closes at once what it has no connection for.
    await expect.poll(() => ask().catch(() => 'closed'), { interval: 20 }).toBe(200)
    await Promise.all(halves.map(({ status }) => status))
  })
})

describe('a worker that may open no more files', () => {
  it('serves nobody on that account', async () => {
    await start(refuse, [['nginx.conf', 'worker_rlimit_nofile 16384;', 'worker_rlimit_nofile 60;']])
    const counts = await burst(200)
    expect(counts).not.toHaveProperty('200')
    expect(counts).not.toHaveProperty('500')
    expect(await ask()).toBe(403)
  })

  it('is not made so by what many have asked', async () => {
    await start(refuse)
    // The worker is there.
    expect(await ask()).toBe(403)
    const before = await openFiles()
    for (let query = 0; query < 300; query++) {
      for (let time = 0; time < 3; time++) expect(await ask(`token=${query}`)).toBe(403)
    }
    // In nginx's memory, each.
    expect(service.questions()).toBe(601)
    expect((await openFiles()) - before).toBeLessThan(110)
  })
})

describe('connections to the service', () => {
  it('are no more than there were questions at once, however many come', async () => {
    await start(refuse)
    for (let time = 0; time < 5; time++) expect(await burst(200)).toEqual({ 403: 200 })
    expect(service.questions()).toBe(1_000)
    expect(service.connections()).toBeLessThanOrEqual(200)
  })

  it('are not ended by viewers who hang up', async () => {
    let answered: () => void = () => {}
    await start((socket) => {
      answered = () => socket.write(answer(403))
    })
    for (let time = 0; time < 20; time++) {
      const { socket, status } = open()
      socket.write(`${get()}\r\n`)
      await expect.poll(service.questions, { interval: 5 }).toBe(time + 1)
      socket.destroy()
      await status
      const logged = (await nginx.accessLog()).length
      answered()
      await expect.poll(async () => (await nginx.accessLog()).length, { interval: 5 }).toBe(logged + 1)
    }
    expect(service.connections()).toBe(1)
  })
})

describe('requests in flight', () => {
  const three = ['nginx.conf', 'limit_conn viewers 500;', 'limit_conn viewers 3;'] as const

  it('of one address are limited, and not those of others', async () => {
    await start(hang, [three])
    const held = [open(), open(), open()]
    for (const { socket } of held) socket.write(`${get()}\r\n`)
    await expect.poll(service.questions).toBe(3)
    const reply = await view(`http://127.0.0.1:${nginx.port}/`, '/play/a001/0.ts?token=more')
    expect(reply.status).toBe(429)
    expect(reply.headers).toMatchObject({ 'access-control-allow-origin': '*', 'cache-control': 'no-store' })
    service.does(refuse)
    expect(await ask('token=other', { address: '127.0.0.2' })).toBe(403)
    for (const { socket } of held) socket.destroy()
  })
})
