import { spawnSync } from 'node:child_process'
import type { ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import type { Stage } from './stage.js'

/** Something that goes wrong, and is put right again. */
export interface Fault {
  readonly name: string
  /** The backend gives no answers, and the service must notice. */
  readonly isOutage?: boolean
  /** Why it cannot be brought about on this machine. */
  readonly problem?: string | undefined
  /** Goes wrong for about `ms`. */
  run(stage: Stage, ms: number): Promise<void>
}

const HOUR_MS = 3_600_000

function answering(name: string, answer: (response: ServerResponse) => void): Fault {
  return {
    name,
    isOutage: true,
    async run({ middleware }, ms) {
      const held = new Set<ServerResponse>()
      middleware.answerWith((_, response) => {
        held.add(response)
        answer(response)
      })
      await delay(ms)
      middleware.answerWith(undefined)
      for (const response of held) response.destroy()
    },
  }
}

function withoutDns(name: string, dns: 'fails' | 'hangs'): Fault {
  return {
    name,
    isOutage: true,
    async run(stage, ms) {
      stage.shim({ dns })
      // Connections that are open need no name.
      await stage.closeBackend()
      await stage.openBackend()
      await delay(ms)
      stage.shim({ dns: 'works' })
    },
  }
}

function whileServiceIsGone(name: string, signal: NodeJS.Signals): Fault {
  return {
    name,
    async run(stage, ms) {
      await stage.killService(signal)
      await delay(ms / 3)
      await stage.startService()
      await delay((ms * 2) / 3)
    },
  }
}

/** And then the service starts anew, by what it has written down at another time. */
function clockSet(name: string, clockMs: number): Fault {
  return {
    name,
    async run(stage, ms) {
      stage.shim({ clockMs })
      await delay(ms / 2)
      await stage.killService('SIGKILL')
      await stage.startService()
      await delay(ms / 2)
    },
  }
}

export const FAULTS: readonly Fault[] = [
  { name: 'nothing', run: (_, ms) => delay(ms) },
  {
    name: 'the backend refuses connections',
    isOutage: true,
    async run(stage, ms) {
      await stage.closeBackend()
      await delay(ms)
      await stage.openBackend()
    },
  },
  answering('the backend hangs', () => {}),
  {
    name: 'the backend swallows questions, and never lets them go',
    isOutage: true,
    async run({ middleware }, ms) {
      middleware.answerWith(() => {})
      await delay(ms)
      middleware.answerWith(undefined)
    },
  },
  answering('the backend answers 500', (response) => response.writeHead(500).end()),
  answering('the backend answers 503', (response) => response.writeHead(503).end()),
  answering('the backend answers half a header', (response) =>
    response.socket?.end('HTTP/1.1 200 OK\r\nX-Use'),
  ),
  answering('the backend drips', (response) => {
    const { socket } = response
    const timer = setInterval(() => (socket?.writable ? socket.write('H') : clearInterval(timer)), 200)
    socket?.once('close', () => clearInterval(timer))
  }),
  withoutDns("the backend's name has no address", 'fails'),
  withoutDns('the resolver does not answer', 'hangs'),
  {
    name: 'the backend restarts, twice',
    async run(stage, ms) {
      for (let time = 0; time < 2; time++) {
        await stage.closeBackend()
        await delay(ms / 8)
        await stage.openBackend()
        await delay((ms * 3) / 8)
      }
    },
  },
  whileServiceIsGone('the service is stopped and started', 'SIGTERM'),
  whileServiceIsGone('the service is killed and started', 'SIGKILL'),
  {
    name: 'nginx reloads',
    async run(stage, ms) {
      await stage.reloadNginx()
      await delay(ms)
    },
  },
  {
    name: 'the service is killed and started while the backend is down',
    isOutage: true,
    async run(stage, ms) {
      await stage.closeBackend()
      await stage.killService('SIGKILL')
      await stage.startService()
      await delay(ms)
      await stage.openBackend()
    },
  },
  {
    name: 'the disk is full, and the service is killed and started',
    problem: spawnSync('prlimit', ['--version']).error && 'no prlimit here',
    async run(stage, ms) {
      await stage.fillDisk()
      await delay(ms / 2)
      await stage.killService('SIGKILL')
      await stage.startService()
      await delay(ms / 2)
      stage.emptyDisk()
    },
  },
  clockSet('the clock is set an hour ahead, and the service is killed and started', HOUR_MS),
  clockSet('the clock is set an hour back, and the service is killed and started', 0),
]
