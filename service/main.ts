import { once } from 'node:events'
import { pino } from 'pino'
import { createBugLog } from './bug-log.js'
import { now } from './clock.js'
import { ConfigError, parseConfig, type Config } from './config.js'
import { startService } from './service.js'
import { startWatchdog } from './watchdog.js'

/** As long as nginx waits for an answer. */
const STANDSTILL_MS = 10_000

/** One sentence on standard error, exit code 1. */
function fail(sentence: string): never {
  process.stderr.write(`nginx-hls-auth: ${sentence}\n`)
  process.exit(1)
}

function readConfig(): Config {
  try {
    return parseConfig(process.env)
  } catch (error) {
    if (error instanceof ConfigError) fail(error.message)
    throw error
  }
}

const config = readConfig()
const log = pino({ level: config.logLevel, base: null })
// From now on: a start that is cut short while sessions are read would look like one that they have broken.
const ending = Promise.race(['SIGTERM', 'SIGINT'].map((signal) => once(process, signal)))
const service = await startService(config, log).catch((error: NodeJS.ErrnoException) => {
  const reasons: Record<string, string> = {
    EADDRINUSE: 'another program listens there: set another PORT',
    EACCES: 'this user may not listen there: set a PORT above 1023',
    EADDRNOTAVAIL: 'HOST is no address of this machine',
    ENOTFOUND: 'HOST is a name without an address',
  }
  return fail(`cannot listen on ${config.host}:${config.port}: ${reasons[error.code ?? ''] ?? error.message}`)
})

// Whoever was to be answered waits in vain, and is refused by nginx. A service that ends is not there, and then nginx would
// let everybody in.
process.on('uncaughtException', createBugLog(log, now))

// Not before: a million sessions of the last time are read in one go.
startWatchdog({
  limitMs: STANDSTILL_MS,
  isSilent: config.logLevel === 'silent',
  onError: ({ message }) =>
    log.error({ error: message }, 'no watchdog: nobody ends a service that stands still'),
})
await ending
await service.stop()
process.exit(0)
