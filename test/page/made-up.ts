import { randomFrom } from '../fuzz/random.js'
import type { Session, Status } from '../../service/admin/page/types.js'

const AGENTS = [
  'VLC/3.0.24 LibVLC/3.0.24',
  'Lavf/59.27.100',
  'AppleCoreMedia/1.0.0.22B83 (Apple TV; U; CPU OS 18_1 like Mac OS X; en_us)',
  'Mozilla/5.0 (QtEmbedded; U; Linux; C) AppleWebKit/533.3 (KHTML, like Gecko) MAG200 stbapp ver: 4 rev: 734 Mobile Safari/533.3',
  'TiviMate/5.1.6 (Android 12)',
  'ExoPlayerLib/2.19.1 (Linux; Android 11)',
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36',
  'Kodi/21.2 (Linux; Android 11; X96 Max)',
]
const HOSTS = ['live.example.com', 'live.example.com', 'edge-2.example.com', 'tv.example.net']
const NAMES = ['anna', 'ben', 'chloe', 'dmitry', 'elena', 'farid', 'greta', 'hugo', 'irina', 'jonas', 'katya']
const CHANNELS = 240

/**
 * Sessions as an operator may have them: some channels draw most viewers, a few viewers have no name.
 *
 * @param now the moment they are seen from, in ms
 */
export function makeUpSessions(amount: number, now: number, seed = 1): Session[] {
  const random = randomFrom(seed)
  const hex = () =>
    random
      .below(2 ** 32)
      .toString(16)
      .padStart(8, '0')
  return Array.from({ length: amount }, (_, i) => {
    const popularity = random.below(1000) / 1000
    const channel = 1 + ((37 * Math.floor(CHANNELS * popularity ** 3)) % CHANNELS)
    const uptime = Math.floor((36_000 * (i + 1)) / amount) + random.below(9)
    const idleMs = random.once(6) ? random.below(600_000) : random.below(12_000)
    return {
      client_id: hex() + hex() + hex() + hex(),
      channel_id: `a${String(channel).padStart(3, '0')}`,
      addr: random.once(12)
        ? `2001:db8:${random.below(9999)}::${random.below(9999)}`
        : `${random.of(['203.0.113', '198.51.100', '192.0.2'])}.${random.below(256)}`,
      uptime,
      name: random.once(20) ? '' : `${random.of(NAMES)}-${1000 + random.below(9000)}`,
      host: random.of(HOSTS),
      user_agent: random.of(AGENTS),
      last_seen: new Date(now - Math.min(idleMs, uptime * 1000)).toISOString(),
      source: random.once(100) ? 'remembered' : random.once(60) ? 'open-door' : 'backend',
      expires: random.once(40) ? null : new Date(now + 1000 * (36_000 - (uptime % 36_000))).toISOString(),
    }
  })
}

/** What goes with these sessions on a quiet evening. */
export function makeUpStatus(sessions: readonly Session[], now: number): Status {
  const random = randomFrom(7)
  const from = (source: Session['source']) => sessions.filter((session) => session.source === source).length
  const watching = sessions.filter(({ last_seen: seen }) => now - Date.parse(seen) < 60_000)
  const byChannel = new Map<string, number>()
  for (const { channel_id: id } of watching) byChannel.set(id, (byChannel.get(id) ?? 0) + 1)
  return {
    version: '0.1.0',
    uptime: 1_000_000,
    backend: {
      type: 'ministra',
      url: 'http://portal.example.com/stalker_portal',
      state: 'up',
      failures: 0,
      never_answered: null,
      in_flight: 3,
      latency: Array.from({ length: 60 }, (_, i) =>
        i > 20 && i < 24 ? null : 12 + random.below(9) + (i > 40 && i < 45 ? 60 : 0),
      ),
    },
    when_backend_down: 'allow',
    outage: null,
    outages: 1,
    sessions: {
      open: sessions.length,
      watching: watching.length,
      backend: from('backend'),
      remembered: from('remembered'),
      'open-door': from('open-door'),
    },
    channels: [...byChannel]
      .map(([id, viewers]) => ({ channel_id: id, watching: viewers }))
      .toSorted((a, b) => b.watching - a.watching)
      .slice(0, 20),
    last_minute: { admitted: 120, refused: 14 },
  }
}
