import { existsSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { nginxProblem } from '../nginx/harness.js'

/** Where Debian's package puts it; another place is told by CHROMIUM. */
export const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium'

/** Before the first test: one sentence for each program that is missing. */
export function setup(): void {
  const problems = [
    nginxProblem(),
    spawnSync('ffmpeg', ['-version']).error
      ? 'ffmpeg is not on PATH: install it (Debian: apt-get install -y ffmpeg).'
      : undefined,
    spawnSync('promtool', ['--version']).error
      ? 'promtool is not on PATH: install it (Debian: apt-get install -y --no-install-recommends prometheus).'
      : undefined,
    spawnSync('jq', ['--version']).error
      ? 'jq is not on PATH: install it (Debian: apt-get install -y jq).'
      : undefined,
    existsSync(CHROMIUM)
      ? undefined
      : `there is no ${CHROMIUM}: install it (Debian: apt-get install -y chromium) or set CHROMIUM.`,
  ].filter((problem) => problem !== undefined)
  if (problems.length === 0) return
  process.stderr.write(`${problems.join('\n')}\n`)
  process.exit(1)
}
