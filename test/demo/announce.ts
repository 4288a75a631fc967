import type { BackendType } from '../../service/config.js'

/**
 * The lines that a demo prints when it is ready: two commands to paste, the address of the sessions page where it can be
 * reached, and its own.
 */
export function announcement(type: BackendType, port: number, adminPort?: number): string {
  const site = `http://127.0.0.1:${port}/`
  const curl = (token: string) =>
    `curl -s -o /dev/null -w '%{http_code}\\n' "${site}play/a001/index.m3u8?token=${token}"`
  // Where tokens die young or work once, the command fetches its own.
  const token = type === 'http' ? 'demo' : `$(curl -s ${site}demo/token)`
  const sessions = adminPort === undefined ? '' : `sessions: http://127.0.0.1:${adminPort}/\n`
  return `allowed: ${curl(token)}\ndenied: ${curl('wrong')}\n${sessions}ready ${site}\n`
}
