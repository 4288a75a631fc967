import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseAccessRequest } from '../../service/access-request.js'
import { ChannelPattern } from '../../service/channel-pattern.js'
import { channelOf, decodeCanonicalPath } from '../../service/channel.js'
import { credentialsIn, sessionKeyOf } from '../../service/session.js'
import { ROOT } from '../root.js'
import { pipeline } from './pipeline.js'
import { startStack } from './stack.js'

interface Asked {
  readonly target: string
  readonly host: string
  readonly userAgent: string
}

const PIECES = ['a', 'b', '/', 'x.ts', ' ', '|', '?', '&', 't=1', '%20', 'live', ',']
const text = fc.array(fc.constantFrom(...PIECES), { maxLength: 4 }).map((pieces) => pieces.join(''))
const folder = fc.constantFrom('/play/a/', '/play/b/', '/play/a/x/', '/play/a|b/')
const host = fc.constantFrom('live', 'tv', 'a')

interface Parts {
  readonly host: string
  readonly folder: string
  readonly query: string
  readonly userAgent: string
}
const asked = (parts: Parts): Asked => ({ ...parts, target: `${parts.folder}x.ts?${parts.query}` })

/** Any two. */
const STRANGERS = fc
  .tuple(
    fc.record({ host, folder, query: text, userAgent: text }),
    fc.record({ host, folder, query: text, userAgent: text }),
  )
  .map(([one, other]) => [asked(one), asked(other)] as const)

/**
 * Two that a key of parts with a separator between them would not tell apart: what stands between its two free texts
 * is, with the other request, a part of one of them.
 */
const IMITATIONS = fc
  .record({
    free: fc.constantFrom(['userAgent', 'query'] as const, ['query', 'userAgent'] as const),
    between: fc.constantFrom<('host' | 'folder')[]>(
      [],
      ['folder'],
      ['host'],
      ['host', 'folder'],
      ['folder', 'host'],
    ),
    joint: fc.constantFrom(' ', '|', ''),
    one: fc.record({ host, folder }),
    other: fc.record({ host, folder }),
    before: text,
    after: text,
  })
  .map(({ free: [first, second], between, joint, one, other, before, after }) => {
    const middle = (parts: Pick<Parts, 'host' | 'folder'>) =>
      between.map((name) => joint + parts[name]).join('')
    const changed = Object.fromEntries(between.map((name) => [name, other[name]]))
    const inFirst = { ...one, ...changed, [first]: before + middle(one), [second]: after } as unknown as Parts
    const inSecond = {
      ...one,
      [first]: before,
      [second]: (middle(other) + joint + after).slice(joint.length),
    } as unknown as Parts
    return [asked(inFirst), asked(inSecond)] as const
  })
const PAIRS = fc.oneof(STRANGERS, IMITATIONS)

/**
 * Asks a real nginx, which answers with the key under which it would remember the decision, and tells of two requests
 * that the service tells apart but nginx does not.
 *
 * @param change what to put instead of the shipped key
 */
async function sharedKeys(change?: string): Promise<string[]> {
  const location = await readFile(join(ROOT, 'nginx/hls-auth/location.conf'), 'utf8')
  const shipped = /proxy_cache_key "(.*)";/.exec(location)![1]!
  const stack = await startStack({
    hasDemo: false,
    changes: [
      [
        'nginx.conf',
        'include hls-auth/protect.conf;',
        `include hls-auth/protect.conf; return 200 "$hls_memory ${change ?? shipped}\n$request_uri\n$host\n$http_user_agent";`,
      ],
    ],
  })
  const port = Number(new URL(stack.site).port)
  const pairs = fc.sample(PAIRS, { numRuns: 20_000, seed: 1 })
  const requests = pairs.flat()
  const found: string[] = []
  for (let at = 0; at < requests.length && found.length === 0; at += 100) {
    const some = requests.slice(at, at + 100)
    const replies = await pipeline(
      port,
      some.map(
        ({ target, host, userAgent }) =>
          `GET ${target} HTTP/1.1\r\nHost: ${host}\r\nUser-Agent: ${userAgent}\r\n\r\n`,
      ),
    )
    for (let pair = 0; pair < some.length; pair += 2) {
      const [one, other] = [replies[pair]!, replies[pair + 1]!]
      if (one.status !== 200 || other.status !== 200) continue
      const [key, ...asNginxRead] = one.body.split('\n')
      const [otherKey, ...otherAsNginxRead] = other.body.split('\n')
      // Without a memory there is nothing to share.
      if (key !== otherKey || !key!.startsWith('hls_auth ')) continue
      if (sessionKey(asNginxRead) !== sessionKey(otherAsNginxRead)) found.push(`${one.body}\n${other.body}`)
    }
  }
  await stack.stop()
  return found
}

const PATTERN = new ChannelPattern('^/play/([^/]+)/')

function sessionKey([uri, host, userAgent]: string[]): string | undefined {
  const request = parseAccessRequest({
    'x-original-uri': uri,
    'x-real-host': host,
    'x-real-ip': '127.0.0.1',
    'x-real-ua': userAgent,
  })!
  const path = decodeCanonicalPath(request.path)
  const channel = path === undefined ? undefined : channelOf(path, PATTERN)
  if (channel === undefined) return undefined
  const credentials = credentialsIn(request.query, undefined)
  return sessionKeyOf({ ...request, channelId: channel.id, credentials })
}

describe('two requests that the service tells apart', () => {
  it("never share a place in nginx's memory", async () => {
    expect(await sharedKeys()).toEqual([])
  })

  it.each([
    '$remote_addr|$http_user_agent|$host|$hls_folder|$hls_query',
    '$remote_addr|$host|$hls_query|$hls_folder|$http_user_agent',
    '$remote_addr $host $hls_query$http_user_agent',
    '$remote_addr $host $hls_folder $hls_query',
  ])('(with the key %s they would)', async (key) => {
    expect((await sharedKeys(key)).length).toBeGreaterThan(0)
  })
})
