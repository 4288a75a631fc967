import { write } from 'node:fs'
import { Session, type Debugger, type InspectorNotification } from 'node:inspector'
import { workerData } from 'node:worker_threads'
import { formatDuration } from './duration.js'
import { SHARED, TICKS, type WatchdogData } from './watchdog.js'

/*
 * The thread that watches the service's own. It counts its own ticks and asks no clock: while the machine sleeps, or the
 * process is stopped, it does not tick either.
 */

/** How long it is waited for the stack, and for the line to be written: where the log takes nothing, nothing may wait. */
const PATIENCE_MS = 1_000

const { shared, limitMs, isSilent } = workerData as WatchdogData

let beats = 0
let missed = 0
const ticking = setInterval(() => {
  const before = beats
  beats = Atomics.load(shared, SHARED.beats)
  missed = beats !== before || Atomics.load(shared, SHARED.isDebugged) === 1 ? 0 : missed + 1
  if (missed < TICKS) return
  clearInterval(ticking)
  void end()
}, limitMs / TICKS)

async function end(): Promise<void> {
  const session = new Session()
  const frames = await inTime<readonly Frame[]>((done) => pause(session, done))
  if (!isSilent) await inTime<void>((done) => write(1, lineAbout(frames ?? []), () => done()))
  process.kill(process.pid, 'SIGKILL')
  // To the first process of a container the kernel delivers no such signal. It ends itself, where it can be held.
  const callFrameId = frames?.[0]?.callFrameId
  if (callFrameId === undefined) return
  session.post('Debugger.evaluateOnCallFrame', { callFrameId, expression: 'process.reallyExit(137)' })
}

/** A frame of the stack, and the file that it is in. */
type Frame = Debugger.CallFrame & { readonly file: string }

/** Holds the service's thread where it is. Does not come back where it is not in JavaScript. */
function pause(session: Session, onPaused: (frames: readonly Frame[]) => void): void {
  const files = new Map<string, string>()
  session.connectToMainThread()
  session.on(
    'Debugger.scriptParsed',
    ({ params }: InspectorNotification<Debugger.ScriptParsedEventDataType>) =>
      files.set(params.scriptId, params.url),
  )
  session.on('Debugger.paused', ({ params }: InspectorNotification<Debugger.PausedEventDataType>) =>
    onPaused(
      params.callFrames.map((frame) => ({ ...frame, file: files.get(frame.location.scriptId) ?? '' })),
    ),
  )
  session.post('Debugger.enable')
  session.post('Debugger.pause')
}

/** A line as pino writes it, of its level `fatal`. Functions, files and lines alone: no value may reach the log. */
function lineAbout(frames: readonly Frame[]): string {
  const stack = frames
    .map(({ functionName, file, location: { lineNumber, columnNumber = 0 } }) => {
      const place = `${file}:${lineNumber + 1}:${columnNumber + 1}`
      return functionName === '' ? `    at ${place}` : `    at ${functionName} (${place})`
    })
    .join('\n')
  const msg = `stood still for ${formatDuration(limitMs)}: the process ends, to be started anew`
  return `${JSON.stringify({ level: 60, time: Date.now(), stack, msg })}\n`
}

/** What something gives back, or undefined where it takes too long or fails: the process must end in any case. */
function inTime<T>(begin: (done: (value: T) => void) => void): Promise<T | undefined> {
  return new Promise<T | undefined>((resolve) => {
    setTimeout(() => resolve(undefined), PATIENCE_MS)
    try {
      begin(resolve)
    } catch {
      resolve(undefined)
    }
  })
}
