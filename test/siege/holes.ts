import { Agent, type ClientRequest } from 'node:http'
import { OWN_HEADERS } from '../../service/backends/exchange.js'
import { Availability } from '../../service/backends/guard/availability.js'
import { FairQueue } from '../../service/backends/guard/fair-queue.js'
import { ChannelPattern } from '../../service/channel-pattern.js'

/*
 * Loaded before the service: a hole, by its name in SIEGE_HOLE, to see that a siege finds it.
 */

const HOLES = {
  /** A viewer whose question fails, or takes long, makes an outage. */
  'viewers make outages'() {
    let isDown = false
    Object.defineProperty(Availability.prototype, 'isDown', { get: () => isDown })
    Availability.prototype.stateSince = async () => {
      isDown = true
      return 'down'
    }
  },
  /** The same, and everybody is asked about at once. */
  'nobody waits for a turn'() {
    HOLES['viewers make outages']()
    FairQueue.prototype.enter = async () => 'taken'
    FairQueue.prototype.leave = () => {}
    FairQueue.prototype.lend = () => {}
  },
  /** JavaScript's own expressions read paths. */
  'patterns backtrack'() {
    ChannelPattern.prototype.channelIn = function (path) {
      return new RegExp(this.source, 'u').exec(path)?.[1]
    }
  },
  /** A connection to the backend is used for another question. */
  'connections are kept'() {
    delete (OWN_HEADERS as { Connection?: string }).Connection
    const { addRequest } = Agent.prototype as unknown as { addRequest: (request: ClientRequest) => void }
    Object.assign(Agent.prototype, {
      addRequest(
        this: { keepAlive: boolean; maxSockets: number },
        request: ClientRequest,
        ...more: unknown[]
      ) {
        this.keepAlive = true
        this.maxSockets = 8
        request.shouldKeepAlive = true
        addRequest.call(this, request, ...(more as []))
      },
    })
  },
}

export type Hole = keyof typeof HOLES

const hole = process.env.SIEGE_HOLE
if (hole !== undefined) HOLES[hole as Hole]()
