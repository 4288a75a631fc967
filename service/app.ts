import type { HttpBindings } from '@hono/node-server'
import { Hono } from 'hono'
import { parseAccessRequest } from './access-request.js'
import type { Authorizer } from './authorizer.js'
import type { Decision } from './decision.js'
import { replyTo } from './reply.js'

export interface AppOptions {
  readonly authorizer: Authorizer
  /** A request that no nginx with our configuration sends. */
  readonly onForeignRequest: () => void
  /** Each answer to nginx. */
  readonly onReply: (decision: Decision) => void
  /** A bug: the request was refused. */
  readonly onError: (error: Error) => void
}

const NO_DECISION = {
  allowed: false,
  refusal: 403,
  channelId: undefined,
  edge: { freshMs: 0, isStaleAllowed: false },
} as const
const FOREIGN: Decision = { ...NO_DECISION, source: 'foreign' }
const FAILED: Decision = { ...NO_DECISION, source: 'error' }

/** The routes: `/auth` for nginx, which knows no answers but 200, 401 and 403; and `/healthz`. */
export function createApp({ authorizer, onForeignRequest, onReply, onError }: AppOptions) {
  const app = new Hono<{ Bindings: HttpBindings }>()

  app.all('/auth', (c): Response | Promise<Response> => {
    // nginx reads every header of a remembered answer again with each request, so none goes out that it does not use.
    const { incoming, outgoing } = c.env
    outgoing.sendDate = false
    outgoing.removeHeader('Connection')
    const request = parseAccessRequest(incoming.headers)
    if (request === undefined) {
      onForeignRequest()
      return reply(FOREIGN)
    }
    const decision = authorizer.authorize(request)
    return decision instanceof Promise ? decision.then(reply) : reply(decision)
  })

  app.get('/healthz', (c) => c.text('ok\n'))

  // A decision that could not be made is a refusal: a 500 would be taken for an outage, and let viewers in.
  app.onError((error) => {
    onError(error)
    return reply(FAILED)
  })
  return app

  function reply(decision: Decision): Response {
    onReply(decision)
    const { status, headers } = replyTo(decision)
    return new Response(null, { status, headers })
  }
}
