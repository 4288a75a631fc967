import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort, startNginx, type NginxOptions } from '../nginx/harness.js'
import type { Environment } from '../../service/config.js'
import { startServer, startService, type Measured } from './processes.js'

/** Bytes of the two files that are served, by what the table calls them. */
export const OBJECTS = { '4 KB': 4_096, '1 MB': 1_048_576 } as const
export type ObjectName = keyof typeof OBJECTS

export const fileOf = (object: ObjectName) => `${object.replace(' ', '')}.ts`

/** nginx as shipped but with one worker, the service, and a backend that knows `token=good…`. */
export interface Deployment {
  readonly port: number
  readonly mediaDir: string
  readonly service: Measured
  stop(): Promise<void>
}

/** @param extras further locations, by the folder of the media */
export async function deploy(
  env: Environment = {},
  extras: (mediaDir: string) => Promise<NginxOptions['extras']> = async () => ({}),
): Promise<Deployment> {
  const prefix = await realpath(await mkdtemp(join(tmpdir(), 'nginx-hls-auth-bench-')))
  const mediaDir = join(prefix, 'media')
  await mkdir(join(mediaDir, 'a001'), { recursive: true })
  for (const [name, bytes] of Object.entries(OBJECTS)) {
    await writeFile(join(mediaDir, 'a001', fileOf(name as ObjectName)), Buffer.alloc(bytes, 'x'))
  }
  const backend = await startServer('backend')
  const service = await startService({ BACKEND_URL: `http://127.0.0.1:${backend.port}/`, ...env })
  const nginx = await startNginx({
    prefix,
    port: await freePort(),
    servicePort: service.port,
    mediaDir,
    changes: [['nginx.conf', 'worker_processes auto;', 'worker_processes 1;']],
    extras: (await extras(mediaDir)) ?? {},
  })
  return {
    port: nginx.port,
    mediaDir,
    service,
    async stop() {
      await nginx.stop()
      await service.stop()
      await backend.stop()
      await rm(prefix, { recursive: true })
    },
  }
}
