// @ts-check
/** Asks before a session is closed. */
import { byId, setText } from './dom.js'

/** @typedef {import('./types.js').Session} Session */

/**
 * @param {(session: Session, block: string) => void} onConfirm block: a duration, empty for none
 */
export function createCloseDialog(onConfirm) {
  const dialog = byId('dialog')
  /** @type {HTMLInputElement[]} */
  const choices = [...dialog.querySelectorAll('[name=block]')]
  /** @type {Session | undefined} */
  let asked

  byId('cancel').addEventListener('click', () => dialog.close())
  dialog.addEventListener('close', () => (asked = undefined))
  byId('confirm').addEventListener('click', () => {
    const session = asked
    const block = choices.find(({ checked }) => checked)?.value ?? ''
    // Closes first, so that the focus is back in the table when the row goes; a second press finds nothing to confirm.
    dialog.close()
    asked = undefined
    if (session) onConfirm(session, block)
  })

  return {
    /** @returns {Session | undefined} whom it asks about */
    get session() {
      return asked
    },

    /** @param {Session} session */
    open(session) {
      asked = session
      setText(byId('dialog-name'), session.name || '—')
      setText(byId('dialog-channel'), session.channel_id)
      setText(byId('dialog-addr'), session.addr)
      for (const choice of choices) choice.checked = choice.value === ''
      dialog.showModal()
    },
  }
}
