import { fork } from 'node:child_process'
import { once } from 'node:events'

/**
 * Runs a program in a process of its own, and ends it when it sends its exit code. No process of Node ends by itself
 * while the system looks a name up for it, which takes many seconds where the name server is silent.
 *
 * @returns its exit code; undefined where it was killed
 */
export async function runAside(program: string, args: readonly string[]): Promise<number | undefined> {
  const child = fork(program, args)
  let sent: number | undefined
  child.once('message', (exitCode: number) => {
    sent = exitCode
    child.kill('SIGKILL')
  })
  const [exitCode] = (await once(child, 'exit')) as [number | null]
  return sent ?? exitCode ?? undefined
}
