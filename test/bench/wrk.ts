import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** One run of wrk. Times in milliseconds. */
export interface Load {
  readonly requestsPerSecond: number
  readonly p50: number
  readonly p99: number
  /** Answers other than 2xx and 3xx, and socket errors. */
  readonly failed: number
  readonly requests: number
}

export interface WrkOptions {
  readonly seconds: number
  readonly connections?: number
  readonly headers?: Readonly<Record<string, string>>
  /** A Lua script's path and its arguments. */
  readonly script?: readonly string[]
}

export async function wrk(address: string, options: WrkOptions): Promise<Load> {
  const { seconds, connections = 32, headers = {}, script } = options
  const args = ['-t1', `-c${connections}`, `-d${seconds}s`, '--latency', '--timeout', '10s']
  for (const [name, value] of Object.entries(headers)) args.push('-H', `${name}: ${value}`)
  if (script) args.push('-s', script[0]!)
  const { stdout } = await run('wrk', [...args, address, ...(script ? ['--', ...script.slice(1)] : [])])
  const number = (pattern: RegExp) => Number(pattern.exec(stdout)?.[1] ?? 0)
  const socketErrors =
    /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(stdout)?.slice(1) ?? []
  return {
    requestsPerSecond: number(/Requests\/sec:\s+([\d.]+)/),
    p50: milliseconds(/50%\s+([\d.]+\w+)/.exec(stdout)?.[1]),
    p99: milliseconds(/99%\s+([\d.]+\w+)/.exec(stdout)?.[1]),
    failed:
      number(/Non-2xx or 3xx responses: (\d+)/) + socketErrors.reduce((sum, count) => sum + Number(count), 0),
    requests: number(/(\d+) requests in/),
  }
}

function milliseconds(text = ''): number {
  const [, count, unit] = /^([\d.]+)(us|ms|s|m)$/.exec(text) ?? []
  const inMs: Record<string, number> = { us: 0.001, ms: 1, s: 1_000, m: 60_000 }
  return Number(count) * (inMs[unit ?? ''] ?? NaN)
}
