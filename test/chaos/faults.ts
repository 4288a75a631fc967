import type { ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import type { Stage } from './stage.js'

/** Something that goes wrong, and is put right again. */
export interface Fault {
  readonly name: string
  /** How many times it happens in a round that takes `ms`. */
  run(stage: Stage, ms: number): Promise<void>
}

function answering(name: string, answer: (response: ServerResponse) => void): Fault {
  return {
    name,
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

export const FAULTS: readonly Fault[] = [
  { name: 'nothing', run: (_, ms) => delay(ms) },
  {
    name: 'the backend refuses connections',
    async run(stage, ms) {
      await stage.closeBackend()
      await delay(ms)
      await stage.openBackend()
    },
  },
  answering('the backend hangs', () => {}),
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
    async run(stage, ms) {
      await stage.closeBackend()
      await stage.killService('SIGKILL')
      await stage.startService()
      await delay(ms)
      await stage.openBackend()
    },
  },
]
