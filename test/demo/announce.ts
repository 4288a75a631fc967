import type { BackendType } from '../../service/config.js'

/** The lines that a demo prints when it is ready: two commands to paste, and its address. */
export function announcement(type: BackendType, port: number): string {
  const site = `http://127.0.0.1:${port}/`
  const curl = (token: string) =>
    `curl -s -o /dev/null -w '%{http_code}\\n' "${site}play/a001/index.m3u8?token=${token}"`
  // Where tokens die young or work once, the command fetches its own.
  const token = type === 'http' ? 'demo' : `$(curl -s ${site}demo/token)`
  return `allowed: ${curl(token)}\ndenied: ${curl('wrong')}\nready ${site}\n`
}
