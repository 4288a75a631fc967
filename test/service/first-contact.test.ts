import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { pino } from 'pino'
import { beforeEach, describe, expect, it } from 'vitest'
import type { Cause } from '../../service/backends/guard/verdict.js'
import { FirstContact } from '../../service/first-contact.js'
import { createDemoMiddleware } from '../demo/middleware.js'
import { parseConfig, type Environment } from '../../service/config.js'
import { startService } from '../../service/service.js'

let nowMs: number
let never: Cause | undefined
let asked: number
let lines: Record<string, unknown>[]
beforeEach(() => {
  nowMs = 0
  never = 'refused'
  asked = 0
  lines = []
})

const log = () => pino({ base: null }, { write: (line) => lines.push(JSON.parse(line) as never) })

function contact(env: Environment = {}): FirstContact {
  return new FirstContact({
    config: parseConfig({ BACKEND_URL: 'http://user:pass@portal/check?key=secret', ...env }),
    backend: {
      async askBare() {
        asked++
        return 'decided'
      },
      get neverAnswered() {
        return never
      },
    },
    log: log(),
    now: () => nowMs,
  })
}
async function tick(first: FirstContact, times = 1): Promise<void> {
  for (let time = 0; time < times; time++) first.tick()
  await new Promise((resolve) => setImmediate(resolve))
}

describe('a backend that has never answered', () => {
  it('is told at once and once a minute, until it has', async () => {
    const first = contact()
    await tick(first, 3)
    expect(lines).toMatchObject([
      {
        level: 50,
        backend: 'refused',
        url: 'http://portal/check?…',
        whenBackendDown: 'allow',
        msg: 'the backend has never answered since this service was first started: every new viewer is let in without a decision',
      },
    ])
    nowMs = 59_999
    await tick(first)
    expect([asked, lines.length]).toEqual([1, 1])
    nowMs = 60_000
    await tick(first)
    expect([asked, lines.length]).toEqual([2, 2])
    never = undefined
    nowMs = 600_000
    await tick(first)
    expect([asked, lines.length]).toEqual([2, 2])
  })

  it.each<[Environment, object]>([
    [
      { WHEN_BACKEND_DOWN: 'deny' },
      { msg: expect.stringMatching(/every new viewer is refused$/) as unknown },
    ],
    [
      { BACKEND_URL: 'http://host.docker.internal:8000/' },
      {
        advice: expect.stringMatching(
          /listens on 127\.0\.0\.1 alone cannot be reached from a container/,
        ) as unknown,
      },
    ],
    [
      { BACKEND_URL: 'http://127.0.0.1:8000/' },
      { advice: expect.stringMatching(/the machine is host\.docker\.internal there/) as unknown },
    ],
  ])('says what comes of it, and what may be behind it: %j', async (env, line) => {
    await tick(contact(env))
    expect(lines).toMatchObject([line])
  })

  it('is asked at the start all the same, so that it is known what it answers', async () => {
    never = undefined
    await tick(contact(), 5)
    expect([asked, lines]).toEqual([1, []])
  })
})

describe('the service', () => {
  it('tells of a port on which nobody listens before any viewer has come, and not of one that answers', async () => {
    const closed = createServer().listen(0, '127.0.0.1')
    await once(closed, 'listening')
    const { port } = closed.address() as AddressInfo
    closed.close()
    await once(closed, 'close')
    const settings = { PORT: '0', ADMIN_PORT: 'off', STATE_DIR: 'none' }
    const start = (url: string) => startService(parseConfig({ BACKEND_URL: url, ...settings }), log())
    const service = await start(`http://127.0.0.1:${port}/`)
    await expect
      .poll(() => lines.map(({ msg }) => String(msg)))
      .toContainEqual(expect.stringMatching(/never answered/))
    await service.stop()

    lines = []
    const middleware = createDemoMiddleware('http')
    let wasAsked = false
    middleware.answerWith((_, response) => {
      wasAsked = true
      response.writeHead(500).end()
    })
    const other = await start(`http://127.0.0.1:${await middleware.listen()}/portal`)
    // Without a viewer's query it may well fail.
    await expect.poll(() => wasAsked).toBe(true)
    await other.stop()
    await middleware.close()
    expect(lines.filter(({ level }) => level !== 30)).toEqual([])
  })
})
