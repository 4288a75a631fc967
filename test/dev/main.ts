import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { PinoPretty } from 'pino-pretty'
import { ROOT } from '../root.js'

// The service for whoever works on it: started again after each build, its JSON made readable.

const service = spawn(process.execPath, ['--watch', join(ROOT, 'dist/service/main.js')], {
  stdio: ['ignore', 'pipe', 'inherit'],
  // Out of the terminal's reach: Ctrl-C goes to everybody there, and npm and Node's watcher pass it on once more. A
  // second one would break off the end that the first has begun.
  detached: true,
})

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (!service.killed) service.kill('SIGTERM')
  })
}

service.stdout.pipe(PinoPretty({ translateTime: 'SYS:HH:MM:ss.l', singleLine: true, sync: true }))
service.on('close', (code) => {
  process.exitCode = code ?? 1
})
