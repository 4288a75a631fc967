import inspector from 'node:inspector'
import { Worker } from 'node:worker_threads'

/** How often in its limit the watched thread says that it is alive, and how often it is looked whether it does. */
export const TICKS = 10

/** What the two threads share: a count that grows while the watched one is alive, and whether a debugger may hold it. */
export const SHARED = { beats: 0, isDebugged: 1 } as const

/** What the watching thread is told. */
export interface WatchdogData {
  readonly shared: Int32Array
  readonly limitMs: number
  readonly isSilent: boolean
}

export interface WatchdogOptions {
  /** How long this thread may stand still, in milliseconds. */
  readonly limitMs: number
  /** Whether nothing is written to the log. */
  readonly isSilent: boolean
  /** There is no watchdog any more. */
  readonly onError: (error: Error) => void
}

/**
 * Ends the process when this thread stands still: one that answers nobody and never will is worse than one that is started
 * anew. Costs a thread, which has nothing to do. The process ends without it as it would.
 */
export function startWatchdog({ limitMs, isSilent, onError }: WatchdogOptions): void {
  const shared = new Int32Array(new SharedArrayBuffer(8))
  const beat = () => {
    Atomics.add(shared, SHARED.beats, 1)
    Atomics.store(shared, SHARED.isDebugged, inspector.url() === undefined ? 0 : 1)
  }
  beat()
  setInterval(beat, limitMs / TICKS).unref()
  const workerData: WatchdogData = { shared, limitMs, isSilent }
  const worker = new Worker(new URL('watchdog-thread.js', import.meta.url), {
    workerData,
    // Neither the settings, in which there are keys, nor what is meant for this thread alone.
    env: {},
    execArgv: [],
  })
  worker.on('error', onError)
  worker.unref()
}
