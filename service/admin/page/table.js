// @ts-check
/** The table: a row for each session, renewed in place. */
import { serviceNow } from './api.js'
import { arrange, byId, setText } from './dom.js'
import { at, duration, fromNow } from './format.js'
import { words } from './words.js'

/**
 * @typedef {import('./types.js').Session} Session
 * @typedef {{ element: HTMLTableRowElement, cells: HTMLTableCellElement[], close: HTMLButtonElement,
 *   session: Session }} Row
 */

/**
 * Columns from left to right: `sort` is the service's word for its order, none where it has none; `whole` marks texts
 * that may be longer than their column.
 *
 * @type {{ name: string, title: string, sort?: string, whole?: boolean, text: (session: Session) => string,
 *   hint?: (session: Session) => string }[]}
 */
const COLUMNS = [
  { name: 'name', title: words.name, sort: 'name', whole: true, text: (session) => session.name || '—' },
  {
    name: 'channel',
    title: words.channel,
    sort: 'channel_id',
    whole: true,
    text: (session) => session.channel_id,
  },
  { name: 'addr', title: words.address, sort: 'addr', whole: true, text: (session) => session.addr },
  { name: 'agent', title: words.userAgent, whole: true, text: (session) => session.user_agent || '—' },
  { name: 'host', title: words.host, whole: true, text: (session) => session.host },
  { name: 'uptime', title: words.uptime, sort: 'uptime', text: (session) => duration(session.uptime) },
  {
    name: 'seen',
    title: words.lastSeen,
    sort: 'last_seen',
    text: (session) => fromNow(Math.min(0, Date.parse(session.last_seen) - serviceNow())),
  },
  { name: 'source', title: words.source, text: (session) => words.sources[session.source] ?? session.source },
  { name: 'expires', title: words.expires, sort: 'expires', text: expiry, hint: expiryAt },
]

/** @param {Session} session */
function expiry({ expires }) {
  if (expires === null) return words.never
  const ms = Date.parse(expires) - serviceNow()
  return ms < 1000 ? words.due : fromNow(ms)
}

/** @param {Session} session */
function expiryAt({ expires }) {
  return expires === null ? '' : at(expires)
}

/** @param {Session} session @returns {string} what to call its viewer */
export const whoIs = ({ name, addr }) => name || addr

/**
 * @param {object} options
 * @param {(sort: string) => void} options.onSort told the column's order
 * @param {(session: Session) => void} options.onClose
 */
export function createTable({ onSort, onClose }) {
  const body = byId('rows')
  /** @type {Map<string, Row>} by client_id */
  let rows = new Map()

  const headers = COLUMNS.map(({ name, title, sort }) => {
    const header = document.createElement('th')
    header.scope = 'col'
    header.className = name
    if (sort === undefined) header.textContent = title
    else {
      const button = document.createElement('button')
      button.type = 'button'
      button.textContent = title
      button.addEventListener('click', () => onSort(sort))
      header.append(button)
    }
    return header
  })
  const actions = document.createElement('th')
  actions.scope = 'col'
  actions.className = 'actions'
  const unseen = document.createElement('span')
  unseen.className = 'unseen'
  unseen.textContent = words.close
  actions.append(unseen)
  byId('headers').append(...headers, actions)

  /** @param {Session} session @returns {Row} */
  function createRow(session) {
    const element = document.createElement('tr')
    const cells = COLUMNS.map(({ name }) => {
      const cell = element.insertCell()
      cell.className = name
      return cell
    })
    const close = document.createElement('button')
    close.type = 'button'
    close.textContent = words.close
    const cell = element.insertCell()
    cell.className = 'actions'
    cell.append(close)
    const row = { element, cells, close, session }
    close.addEventListener('click', () => onClose(row.session))
    return row
  }

  /** @param {Row} row @param {Session} session */
  function fill(row, session) {
    row.session = session
    const { element, cells, close } = row
    element.dataset.source = session.source
    for (const [i, { whole, text, hint }] of COLUMNS.entries()) {
      const cell = cells[i]
      const value = text(session)
      setText(cell, value)
      const title = hint ? hint(session) : whole ? value : ''
      if (cell.title !== title) cell.title = title
    }
    const label = words.closeWhom(whoIs(session), session.channel_id)
    if (close.ariaLabel !== label) close.ariaLabel = label
  }

  /** @param {string} [opened] client_id of the session in the dialog */
  function inUse(opened) {
    const selection = getSelection()
    const pointedAt = body.querySelector('button:hover')
    return [...rows.values()].filter(
      ({ element, close, session }) =>
        session.client_id === opened ||
        element.contains(document.activeElement) ||
        close === pointedAt ||
        (selection?.isCollapsed === false && selection.containsNode(element, true)),
    )
  }

  return {
    /**
     * Shows these sessions. A row that is being read or pointed at (it holds the focus, the selection, or its button
     * is under the pointer) stays where it is, even if its session is no longer among them.
     *
     * @param {readonly Session[]} sessions
     * @param {{ anew?: boolean, opened?: string | undefined }} [options] anew: something else is looked at, so nothing
     *   has to stay; opened: client_id of the session in the dialog
     */
    show(sessions, { anew = false, opened } = {}) {
      const kept = anew ? [] : inUse(opened)
      const places = [...body.children]
      /** @type {Map<string, Row>} */
      const next = new Map()
      for (const session of sessions) {
        const row = rows.get(session.client_id) ?? createRow(session)
        fill(row, session)
        next.set(session.client_id, row)
      }
      const pinned = new Set(kept.map(({ element }) => /** @type {Element} */ (element)))
      const wanted = [...next.values()]
        .map(({ element }) => /** @type {Element} */ (element))
        .filter((element) => !pinned.has(element))
      const byPlace = kept.map((row) => ({ row, place: places.indexOf(row.element) }))
      for (const { row, place } of byPlace.toSorted((a, b) => a.place - b.place)) {
        wanted.splice(place, 0, row.element)
        row.element.classList.toggle('ended', !next.has(row.session.client_id))
        next.set(row.session.client_id, row)
      }
      rows = next
      arrange(body, wanted, pinned)
    },

    /**
     * Takes a session's row away.
     *
     * @param {string} id client_id
     * @returns {HTMLElement | undefined} where the focus should go: the button of the row in its place
     */
    remove(id) {
      const row = rows.get(id)
      if (row === undefined) return undefined
      const neighbour = row.element.nextElementSibling ?? row.element.previousElementSibling
      rows.delete(id)
      row.element.remove()
      return neighbour?.querySelector('button') ?? undefined
    },

    /** @param {string} sort */
    showSort(sort) {
      for (const [i, column] of COLUMNS.entries()) {
        const header = /** @type {HTMLElement} */ (headers[i])
        if (column.sort === undefined || column.sort !== sort.replace(/^-/, '')) {
          header.removeAttribute('aria-sort')
        } else header.setAttribute('aria-sort', sort.startsWith('-') ? 'descending' : 'ascending')
      }
    },
  }
}
