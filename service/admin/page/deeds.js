// @ts-check
/** What the operator does: closes sessions, keeps viewers out, lets them in again. Each ends in a sentence. */
import { ask, Refusal } from './api.js'
import { at } from './format.js'
import { say } from './message.js'
import { whoIs } from './table.js'
import { words } from './words.js'

/**
 * @typedef {import('./types.js').Session} Session
 * @typedef {import('./types.js').Block} Block
 */

/**
 * @param {object} options
 * @param {(deed: () => Promise<void>) => void} options.queue has something asked in its turn
 * @param {(session: Session) => void} options.onGone a session has ended
 */
export function createDeeds({ queue, onGone }) {
  /** @param {Session} session @param {string} block a duration, empty for none */
  async function closeSession(session, block) {
    const who = whoIs(session)
    try {
      const query = block === '' ? '' : `?block=${block}`
      const { blocked_until: until } = await ask(`sessions/${session.client_id}${query}`, {
        method: 'DELETE',
      })
      const closed = words.closed(who, session.channel_id)
      if (until === null) say(closed)
      else say(`${closed} ${words.blocked(at(until))}`, () => lift({ ...session, blocked_until: until }))
      onGone(session)
    } catch (error) {
      const gone = { 404: words.gone, 409: words.elsewhere }[statusOf(error)]
      if (gone !== undefined) {
        say(gone(who, session.channel_id))
        onGone(session)
      } else say((statusOf(error) < 500 ? words.notClosed : words.unsure)(who, reasonOf(error)))
    }
  }

  /** @param {Block} block */
  async function liftBlock({ client_id: id, addr, channel_id: channel }) {
    const done = await ask(`blocks/${id}`, { method: 'DELETE' }).catch((error) => error)
    // With 404 it has ended by itself.
    const isLifted = !(done instanceof Error) || statusOf(done) === 404
    say(isLifted ? words.lifted(addr, channel) : words.notLifted(addr, reasonOf(done)))
  }

  /** @param {Block} block */
  const lift = (block) => queue(() => liftBlock(block))

  return {
    lift,

    /** @param {Session} session @param {string} block a duration, empty for none */
    close: (session, block) => queue(() => closeSession(session, block)),
  }
}

/**
 * @param {unknown} error
 * @returns {number} Infinity without an answer: from 500 on nobody knows whether it was done all the same
 */
const statusOf = (error) => (error instanceof Refusal ? error.status : Infinity)

/** @param {unknown} error */
const reasonOf = (error) => (error instanceof Refusal ? words.answered(error.status) : words.noAnswer)
