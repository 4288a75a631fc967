import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { sendRaw } from '../nginx/client.js'
import { pipeline } from '../nginx/pipeline.js'
import { startStack, type StackOptions } from '../nginx/stack.js'
import { randomFrom } from './random.js'
import { ALLOWED, FILES, FORBIDDEN, hostileTarget, playersTarget } from './targets.js'

export interface FuzzOptions {
  readonly count: number
  readonly seed: number
  /** Holes made on purpose, to see that they are found: then one file of another channel is enough. */
  readonly changes?: StackOptions['changes']
}

export interface FuzzResult {
  /** Sentences, each with the target. */
  readonly holes: readonly string[]
  /** How many replies had which status; 0 for a connection closed without one. */
  readonly statuses: ReadonlyMap<number, number>
  /** Hostile targets that were served, all with what belongs to the viewer. */
  readonly ownServed: number
}

const MARK = 'THIS IS CHANNEL '
const PIPELINED = 25
const AT_ONCE = 8

/**
 * A viewer who may see one channel asks a real nginx for anything; every file says to which channel it belongs. The
 * door is open: what makes the service fail is served too, and so is seen.
 */
export async function fuzz({ count, seed, changes = [] }: FuzzOptions): Promise<FuzzResult> {
  const stack = await startStack({
    env: { WHEN_BACKEND_DOWN: 'allow', CREDENTIAL_PARAMS: 'token', LOG_LEVEL: 'warn' },
    changes,
    hasDemo: false,
  })
  for (const channel of [ALLOWED, ...FORBIDDEN, '.']) {
    for (const file of FILES) {
      const path = `${stack.mediaDir}/${channel}/${file}`
      await mkdir(dirname(path), { recursive: true })
      await writeFile(path, `${MARK}${channel}\n`)
    }
  }
  await writeFile(join(stack.mediaDir, '../secret'), `${MARK}outside\n`)
  stack.middleware.answerWith((request, response) => {
    const isAllowed = request.headers['x-channel-id'] === ALLOWED
    response.writeHead(isAllowed ? 200 : 403, { 'Content-Length': 0 }).end()
  })
  const port = Number(new URL(stack.site).port)

  const random = randomFrom(seed)
  const holes: string[] = []
  const statuses = new Map<number, number>()
  let ownServed = 0
  let hasServedForeign = false
  const note = (what: string, target: string) => holes.push(`${what}: ${JSON.stringify(target)}`)

  async function batch(size: number): Promise<void> {
    const targets = Array.from({ length: size }, () => {
      const isPlayers = random.once(10)
      return { isPlayers, target: isPlayers ? playersTarget(random) : hostileTarget(random) }
    })
    const isAlone = random.once(20)
    const lone = isAlone ? targets.pop() : undefined
    const replies = await pipeline(
      port,
      targets.map(({ target }) => request(target)),
    )
    targets.forEach(({ isPlayers, target }, at) => {
      const { status, body } = replies[at]!
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
      if (isForeign(body)) {
        hasServedForeign = true
        note('served what belongs to another channel', target)
      }
      if (isPlayers && !(status === 200 && body.startsWith(MARK + ALLOWED)))
        note(`refused with ${status}`, target)
      if (status >= 500) note(`answered with ${status}`, target)
      if (!isPlayers && status === 200 && body.startsWith(MARK)) ownServed++
    })
    if (lone) {
      // Without a version (HTTP/0.9), which nginx answers with a bare body, or with an old one.
      const version = random.of(['', ' HTTP/1.0', ' HTTP/0.9', ' HTTP/1.1'])
      if (
        isForeign(
          await sendRaw(stack.site, `GET ${lone.target}${version}\r\nHost: x\r\nConnection: close\r\n\r\n`),
        )
      )
        note(`served to${version}`, lone.target)
    }
  }

  let left = count
  const worker = async () => {
    while (left > 0 && !(hasServedForeign && changes.length > 0)) {
      const size = Math.min(PIPELINED, left)
      left -= size
      await batch(size)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))

  // The door is open and the backend well: neither it nor the service may have failed anybody.
  // That there are queries without a token is what is tried.
  const complaints = stack.log.filter(
    ({ level, msg }) => level !== 30 && !String(msg).includes('none of CREDENTIAL_PARAMS'),
  )
  holes.push(...complaints.map((line) => `the service: ${JSON.stringify(line)}`))
  const unanswered = (await stack.nginx.accessLog()).filter((line) => / auth="[^"]*5\d\d/.test(line))
  for (const line of unanswered) holes.push(`nginx without an answer: ${line}`)
  await stack.stop()
  return { holes, statuses, ownServed }
}

function request(target: string): string {
  return `GET ${target} HTTP/1.1\r\nHost: x\r\nUser-Agent: player/1.0\r\n\r\n`
}

function isForeign(body: string): boolean {
  return body
    .split(MARK)
    .slice(1)
    .some((rest) => !rest.startsWith(`${ALLOWED}\n`))
}
