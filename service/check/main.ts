import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { createExchange } from '../backends/exchange.js'
import { ownTimeoutMs } from '../backends/guard/guarded-backend.js'
import { now } from '../clock.js'
import { ConfigError, parseConfig, type Config } from '../config.js'
import { headerFromText } from '../header-text.js'
import { DEFAULT_HOST, notesOn, readAddress } from './address.js'
import { runAside } from './aside.js'
import { check } from './check.js'
import { explain } from './explain.js'
import { layOut } from './layout.js'

const EXIT_CODES = { allow: 0, deny: 1, unavailable: 2 } as const
const WRONG_USE = 3

const DEFAULT_IP = '127.0.0.1'
const DEFAULT_UA = 'nginx-hls-auth-check'

const USAGE = `\
npm run -s check -- [options] 'https://live.example.com/play/a001/index.m3u8?token=123'

Asks the configured backend about one viewer, as the service would, and explains the
answer. The address is what a player opens, between quotes; from the path on it will do
(host: ${DEFAULT_HOST}). Tokens are masked. A token that works once is used up by it.

  --ip ADDRESS  the viewer's address (${DEFAULT_IP})
  --ua TEXT     the viewer's User-Agent (${DEFAULT_UA}); '' for none
  --json        one JSON object
  --help        this text

The settings are the service's, by environment variable; BACKEND_URL must be set.
Exit code: 0 allowed, 1 denied, 2 no decision by the backend, 3 wrong use or settings.
`

/** One sentence on standard error, exit code 3. */
function fail(sentence: string): never {
  process.stderr.write(`nginx-hls-auth: ${sentence}\n`)
  process.exit(WRONG_USE)
}

function readArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        ip: { type: 'string', default: DEFAULT_IP },
        ua: { type: 'string', default: DEFAULT_UA },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    })
  } catch (error) {
    // Its further sentences are about what nobody meant.
    return fail(`${(error as Error).message.split(/[.\n]/)[0]}; --help lists the options`)
  }
}

function readConfig(): Config {
  try {
    return parseConfig(process.env)
  } catch (error) {
    if (error instanceof ConfigError) fail(error.message)
    throw error
  }
}

if (process.send === undefined)
  process.exit((await runAside(fileURLToPath(import.meta.url), process.argv.slice(2))) ?? WRONG_USE)
// Where nobody waits for it any more.
process.once('disconnect', () => process.exit())

const { values, positionals } = readArguments()
if (values.help) {
  process.stdout.write(USAGE)
  process.exit(0)
}
if (positionals.length !== 1) {
  fail(
    positionals.length === 0 ? 'no address given; --help shows one' : 'one address at a time, between quotes',
  )
}
if (isIP(values.ip) === 0) fail('--ip must be an IP address, such as 192.0.2.7')
// eslint-disable-next-line no-control-regex -- nginx refuses such a header, or takes its end for another
if (/[\x00-\x08\x0a-\x1f\x7f]/.test(values.ua)) fail('--ua must be without control characters')
const address = readAddress(positionals[0]!)
if ('problem' in address) fail(address.problem)

const config = readConfig()
const finding = await check(
  {
    host: address.host,
    path: address.path,
    query: address.query,
    clientIp: values.ip,
    userAgent: headerFromText(values.ua.trim()),
  },
  config,
  {
    exchange: createExchange({ timeoutMs: config.backendTimeoutMs }),
    ownExchange: createExchange({ timeoutMs: ownTimeoutMs(config.backendTimeoutMs), lingerMs: 0 }),
    lookup,
    now,
  },
)
const report = explain(finding, notesOn(address))
const exitCode = EXIT_CODES[report.outcome]
process.stdout.write(values.json ? `${JSON.stringify(report)}\n` : layOut(report), () =>
  process.send!(exitCode, () => process.exit(exitCode)),
)
