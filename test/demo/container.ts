import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { BACKEND_TYPES } from '../../service/config.js'
import { ROOT } from '../root.js'
import { announcement } from './announce.js'
import { keepLive } from './live-playlist.js'
import { createDemoMiddleware } from './middleware.js'

/* The demo's part in docker-compose.yml: the middleware, the page, and the stream in a volume that nginx serves. */

if (process.env.BACKEND_URL) {
  process.stdout.write('BACKEND_URL is set: the demo is not needed.\n')
  process.exit(0)
}

const type = BACKEND_TYPES.find((name) => name === (process.env.DEMO_BACKEND || 'http'))
if (type === undefined) {
  process.stderr.write(
    `DEMO_BACKEND="${process.env.DEMO_BACKEND}": must be one of ${BACKEND_TYPES.join(', ')}.\n`,
  )
  process.exit(1)
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(0))

const media = process.env.MEDIA_DIR || '/srv/hls'
await cp(join(ROOT, 'test/demo/media'), media, { recursive: true })
await keepLive(join(media, 'live'))
await createDemoMiddleware(type).listen(8000, '0.0.0.0')
// nginx comes last, after the service: a command pasted before would be refused.
while (!(await fetch('http://nginx:8080/demo/info').catch(() => undefined))?.ok) await delay(200)
process.stdout.write(announcement(type, Number(process.env.DEMO_PORT || '8080')))
