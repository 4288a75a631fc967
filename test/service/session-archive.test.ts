import { mkdtemp, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openArchive } from '../../service/session-archive.js'
import { sessionKeyOf, viewerKeyOf, type Session } from '../../service/session.js'

const HOUR_MS = 3_600_000

let folder: string
let nowMs: number
let wallMs: number
let failures: Error[]
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nginx-hls-auth-archive-'))
  nowMs = 5_000
  wallMs = 1_800_000_000_000
  failures = []
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const start = () =>
  openArchive({
    folder,
    now: () => nowMs,
    wallNow: () => wallMs,
    idleMs: 600_000,
    onFailure: (error) => failures.push(error),
  })

/** The process ends and another begins, whose own clock begins anew. */
function restart(wallPassedMs = 1_000) {
  nowMs = 77
  wallMs += wallPassedMs
  return start()
}

function session(token: string, changed: Partial<Session> = {}): Session {
  const parts = { host: 'tv', channelId: 'Канал', clientIp: '::1', userAgent: 'a\xd0b', credentials: token }
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
    archive.remove(session('token=gone'))
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
    const { size } = await stat(file)
    for (const bytes of [size - 1, size / 2, 10_000, 100]) {
      await truncate(file, bytes)
      expect(restart).toThrow('damaged')
      await rm(join(folder, 'starting'))
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
    await writeFile(join(folder, 'starting'), '2')
    const { archive: next, sessions } = restart()
    expect(sessions).toEqual([])
    expect(await readdir(folder)).toEqual(['sessions'])
    await next.close()
  })
})
