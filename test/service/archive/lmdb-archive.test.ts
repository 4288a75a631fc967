import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openArchive } from '../../../service/archive/lmdb-archive.js'
import type { SessionArchive } from '../../../service/archive/session-archive.js'
import { sessionKeyOf, viewerKeyOf, type Session } from '../../../service/session.js'

const HOUR_MS = 3_600_000

let folder: string
let nowMs: number
let wallMs: number
let failures: Error[]
let recoveries: number
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nginx-hls-auth-archive-'))
  nowMs = 5_000
  wallMs = 1_800_000_000_000
  failures = []
  recoveries = 0
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const start = (instance = '3000') =>
  openArchive({
    folder,
    instance,
    now: () => nowMs,
    wallNow: () => wallMs,
    idleMs: 600_000,
    onFailure: (error) => failures.push(error),
    onRecovery: () => recoveries++,
  })

/** The process ends and another begins, whose own clock begins anew. */
function restart(wallPassedMs = 1_000) {
  nowMs = 77
  wallMs += wallPassedMs
  return start()
}

/** No file of this process can grow beyond this: to it, as if the disk were full. */
const limitFiles = (bytes: string) => execFileSync('prlimit', [`--pid=${process.pid}`, `--fsize=${bytes}:`])

const VIEWER = { host: 'tv', channelId: 'Канал', clientIp: '::1', userAgent: 'a\xd0b' }

function session(token: string, changed: Partial<Session> = {}): Session {
  const parts = { ...VIEWER, credentials: token }
  const key = sessionKeyOf(parts)
  return {
    key,
    viewerKey: viewerKeyOf(key, token),
    id: `id of ${token}`,
    path: '/play/a/x',
    query: token,
    openedAtMs: 1_000,
    name: '\xd0\x98',
    source: 'backend',
    lastSeenAtMs: nowMs,
    recheckAtMs: nowMs + 60_000,
    failedChecks: 0,
    archivedAtMs: nowMs,
    ...changed,
  }
}

describe('the archive', () => {
  it('gives sessions back as they were, by the clock of the new process', async () => {
    const { archive } = start()
    const one = session('token=1')
    archive.put(one)
    archive.put(session('token=never', { recheckAtMs: Infinity }))
    archive.put(session('token=gone'))
    archive.release(session('token=gone'), 'refused')
    await archive.close()
    const { archive: next, sessions } = restart()
    expect(sessions.map(({ query }) => query).toSorted()).toEqual(['token=1', 'token=never'])
    expect(sessions.find(({ query }) => query === 'token=1')).toEqual({
      ...one,
      openedAtMs: 77 - 5_000,
      lastSeenAtMs: 77,
      recheckAtMs: 77 + 59_000,
      archivedAtMs: 77,
    })
    expect(sessions.find(({ query }) => query === 'token=never')?.recheckAtMs).toBe(Infinity)
    await next.close()
  })

  it.each([HOUR_MS, -HOUR_MS])(
    'loses nobody when the clock is set by %d ms, and keeps nobody for ever',
    async (jumpMs) => {
      const { archive } = start()
      archive.put(session('token=1'))
      await archive.close()
      const { archive: next, sessions } = restart(jumpMs)
      expect(sessions).toHaveLength(1)
      expect(sessions[0]!.recheckAtMs).toBeLessThanOrEqual(77 + 24 * HOUR_MS)
      await next.close()
      const { archive: last, sessions: late } = restart(30 * HOUR_MS)
      expect(late).toEqual([])
      await last.close()
    },
  )

  it('that is damaged, or no folder, is an error and no crash', async () => {
    const { archive } = start()
    const file = join(folder, 'sessions/data.mdb')
    for (let token = 0; token < 100; token++) archive.put(session(`token=${token}`))
    await archive.close()
    // Of the room that is made beforehand nothing is missed.
    await truncate(file, (await stat(file)).size - 1)
    await restart().archive.close()
    for (const bytes of [10_000, 100]) {
      await truncate(file, bytes)
      expect(restart).toThrow('damaged')
      await rm(join(folder, 'starting-3000'))
    }
    await writeFile(file, 'x'.repeat(50_000))
    expect(restart).toThrow('damaged')
    await writeFile(join(folder, 'file'), '')
    folder = join(folder, 'file/below')
    expect(restart).toThrow(/ENOTDIR|EEXIST/)
    folder = join(folder, '../..')
  })

  it('that ended two starts is given up at the third', async () => {
    const { archive } = start()
    archive.put(session('token=1'))
    await archive.close()
    await writeFile(join(folder, 'starting-3000'), '2')
    const { archive: next, sessions } = restart()
    expect(sessions).toEqual([])
    expect((await readdir(folder)).toSorted()).toEqual(['sessions', 'used-by-3000'])
    await next.close()
  })

  it('that ended two starts stays as it is while another service uses it', async () => {
    const { archive: other } = start('3001')
    other.put(session('token=1'))
    await writeFile(join(folder, 'starting-3000'), '2')
    for (let time = 0; time < 3; time++) expect(() => start('3000')).toThrow('stop all services that use it')
    await other.close()
    const { archive: again, sessions } = start('3001')
    expect(sessions).toHaveLength(1)
    await again.close()
    const { archive: next } = start('3000')
    await next.close()
  })

  it.each(['data.mdb', 'lock.mdb'])('whose %s cannot be opened is an error and no crash', async (name) => {
    await mkdir(join(folder, 'sessions', name), { recursive: true })
    for (let time = 0; time < 3; time++) expect(restart).toThrow('EISDIR')
  })

  it('that somebody removes while it is in use says so once, and nothing throws', async () => {
    const { archive } = start()
    archive.put(session('token=1'))
    await rm(join(folder, 'sessions'), { recursive: true })
    for (let time = 0; time < 3; time++) {
      nowMs += 31_000
      archive.put(session('token=2'))
      archive.release(session('token=1'), 'refused')
    }
    await archive.close()
    expect(failures.map(({ message }) => message)).toEqual([expect.stringMatching(/^ENOENT/)])
    const { archive: next } = restart()
    await next.close()
  })

  it.skipIf(process.platform !== 'linux')(
    'that has no room at the start is an error and no crash, and stays as it is',
    async () => {
      const { archive } = start()
      archive.put(session('token=1'))
      await archive.close()
      limitFiles('4096')
      try {
        for (let time = 0; time < 3; time++) expect(restart).toThrow('EFBIG')
      } finally {
        limitFiles('unlimited')
      }
      const { archive: next, sessions } = restart()
      expect(sessions).toHaveLength(1)
      await next.close()
    },
  )

  it.skipIf(process.platform !== 'linux')(
    'that has no more room stops, and goes on when it has',
    async () => {
      const { archive } = start()
      const file = join(folder, 'sessions/data.mdb')
      limitFiles(String((await stat(file)).size))
      try {
        // Room was made beforehand: what comes until it is looked at again is kept.
        for (let token = 0; token < 600; token++) archive.put(session(`before=${token}`))
        await expect.poll(() => failures.length).toBe(1)
        for (let time = 0; time < 3; time++) {
          archive.put(session(`token=${time}`))
          nowMs += 30_000
          wallMs += 30_000
        }
      } finally {
        limitFiles('unlimited')
      }
      expect(failures[0]!.message).toMatch(/^EFBIG/)
      await expect
        .poll(() => {
          nowMs += 30_000
          archive.put(session('after'))
          return recoveries
        })
        .toBe(1)
      await archive.close()
      const { archive: next, sessions } = restart()
      const queries = sessions.map(({ query }) => query)
      expect(queries.filter((query) => query.startsWith('before='))).toHaveLength(600)
      expect(queries.filter((query) => !query.startsWith('before='))).toEqual(['after'])
      expect(failures).toHaveLength(1)
      await next.close()
    },
  )
})

describe('two services with one archive', () => {
  it('know of each other what they are asked for, and forget only their own', async () => {
    const { archive: one } = start('3000')
    const { archive: other, sessions } = start('3001')
    expect(sessions).toEqual([])
    const first = session('token=1', { openedAtMs: 2_000 })
    const second = session('token=2', { openedAtMs: 3_000 })
    const third = session('token=3')
    for (const each of [second, first, third]) one.put(each)
    await expect.poll(() => other.find(third.key)?.id).toBe('id of token=3')
    expect(other.find(first.key)).toEqual(first)
    expect(other.findNewest(first.viewerKey)).toEqual(second)
    expect(other.findNewest(sessionKeyOf({ ...VIEWER, clientIp: '::2', credentials: '' }))).toBeUndefined()
    expect(other.find(sessionKeyOf({ ...VIEWER, credentials: 'token=4' }))).toBeUndefined()
    // What it has put itself it has in its memory, or not any more.
    expect(one.find(first.key)).toBeUndefined()
    expect(one.findNewest(first.viewerKey)).toBeUndefined()

    nowMs += 10
    wallMs += 10
    const moved = { ...second, lastSeenAtMs: nowMs, archivedAtMs: nowMs }
    other.put(moved)
    await expect.poll(() => one.find(second.key)).toEqual(moved)
    expect([one.hasLost(second), one.hasLost(first)]).toEqual([true, false])
    expect([one.release(second, 'closed'), one.release(first, 'forgotten')]).toEqual([false, true])
    await expect.poll(() => other.find(first.key)).toBeUndefined()
    expect(one.find(second.key)).toEqual(moved)
    // It is not lost to one who had it before.
    expect([other.hasLost(moved), other.release(moved, 'closed')]).toEqual([false, true])
    await expect.poll(() => one.find(second.key)).toBeUndefined()
    expect(one.hasLost(second)).toBe(false)
    other.refuse(second.key, 403)
    await expect.poll(() => one.hasLost(second)).toBe(true)
    // Whom the backend refuses nobody keeps; of whom an operator closes, others have nothing left.
    other.put(moved)
    await expect.poll(() => one.find(second.key)).toEqual(moved)
    expect(one.release(second, 'refused')).toBe(true)
    await expect.poll(() => one.find(second.key)).toBeUndefined()
    other.put(moved)
    await expect.poll(() => one.findNewest(second.viewerKey)).toEqual(moved)
    one.dropOthers(second.viewerKey)
    await expect.poll(() => one.findNewest(second.viewerKey)).toBeUndefined()
    await one.close()
    const { archive: again, sessions: mine } = restart()
    expect(mine.map(({ query }) => query)).toEqual(['token=3'])
    await again.close()
    await other.close()
  })

  it('keep refusals between one and two renewals, whoever renews', async () => {
    const { archive: one } = start('3000')
    const { archive: other } = start('3001')
    // What is put behind it tells when it is done.
    const renew = async (archive: SessionArchive) => {
      archive.renewRefusals()
      archive.refuse('last', 403)
      await expect.poll(() => one.refusal('last') && other.refusal('last')).toBe(403)
      archive.pardon('last')
      await expect.poll(() => one.refusal('last') ?? other.refusal('last')).toBeUndefined()
    }
    one.refuse('a', 403)
    await expect.poll(() => other.refusal('a')).toBe(403)
    await renew(one)
    await renew(other)
    other.refuse('b', 401)
    await expect.poll(() => one.refusal('b')).toBe(401)
    expect(one.refusal('a')).toBe(403)
    await renew(one)
    expect(other.refusal('a')).toBeUndefined()
    await renew(other)
    expect(one.refusal('b')).toBe(401)
    await renew(one)
    expect(other.refusal('b')).toBeUndefined()
    await one.close()
    await other.close()
  })
})

it('a key stands for itself alone, in any script', async () => {
  const { archive } = start()
  const named = (channelId: string) =>
    session('token=1', { key: sessionKeyOf({ ...VIEWER, channelId, credentials: 'token=1' }), id: channelId })
  // Alike in the low byte of each character.
  for (const channelId of ['й', '9', '一', '伀']) {
    const one = named(channelId)
    archive.put({ ...one, viewerKey: viewerKeyOf(one.key, 'token=1') })
  }
  archive.refuse('一', 403)
  await expect.poll(() => archive.refusal('一')).toBe(403)
  expect(archive.refusal('伀')).toBeUndefined()
  await archive.close()
  const { archive: next, sessions } = restart()
  expect(sessions.map(({ id }) => id).toSorted()).toEqual(['9', 'й', '一', '伀'])
  await next.close()
})

describe('a block', () => {
  const until = (viewerKey: string, ms: number) => ({
    viewerKey,
    sessionId: `of ${viewerKey}`,
    untilMs: nowMs + ms,
  })

  it('outlives a restart, unless it was lifted, and is forgotten when it is over', async () => {
    const { archive } = start()
    archive.block(until('long', 90_000))
    archive.block(until('short', 30_000))
    archive.block(until('lifted', 90_000))
    archive.block(until('lifted', 0))
    await archive.close()
    const { archive: next, blocks } = restart(60_000)
    expect(blocks).toHaveLength(3)
    expect(blocks).toContainEqual({ viewerKey: 'long', sessionId: 'of long', untilMs: 77 + 30_000 })
    expect(blocks).toContainEqual({ viewerKey: 'short', sessionId: 'of short', untilMs: 77 - 30_000 })
    await next.close()
    const { archive: last, blocks: left } = restart(0)
    expect(left.map(({ viewerKey }) => viewerKey)).toEqual(['long'])
    await last.close()
  })

  it('is told to the other service, once', async () => {
    const { archive: one } = start('3000')
    const { archive: other } = start('3001')
    expect(other.changedBlocks()).toBeUndefined()
    one.block(until('a', 90_000))
    const seen: unknown[] = []
    const told = () => {
      seen.push(...(other.changedBlocks() ?? []))
      return seen
    }
    await expect.poll(told).toEqual([until('a', 90_000)])
    expect(other.changedBlocks()).toBeUndefined()
    one.block(until('a', 10))
    await expect.poll(told).toEqual([until('a', 90_000), until('a', 10)])
    await one.close()
    await other.close()
  })

  it.skipIf(process.platform !== 'linux')(
    'and the closing of a session are made up for, where the disk was full when they came',
    async () => {
      const { archive } = start()
      archive.put(session('token=closed'))
      archive.put(session('token=back'))
      await expect.poll(() => archive.release(session('token=none'), 'forgotten')).toBe(true)
      limitFiles(String((await stat(join(folder, 'sessions/data.mdb'))).size))
      try {
        for (let token = 0; token < 600; token++) archive.put(session(`before=${token}`))
        await expect.poll(() => failures.length).toBe(1)
        archive.block(until('viewer', HOUR_MS))
        archive.release(session('token=closed'), 'closed')
        // This one was opened again meanwhile.
        archive.release(session('token=back'), 'refused')
        archive.put(session('token=back'))
      } finally {
        limitFiles('unlimited')
      }
      await expect
        .poll(() => {
          nowMs += 30_000
          wallMs += 30_000
          archive.put(session('after'))
          return recoveries
        })
        .toBe(1)
      await archive.close()
      const { archive: next, sessions, blocks } = restart()
      expect(sessions.map(({ query }) => query).filter((query) => query.startsWith('token='))).toEqual([
        'token=back',
      ])
      expect(blocks.map(({ viewerKey }) => viewerKey)).toEqual(['viewer'])
      await next.close()
    },
  )
})
