// @ts-check
/** Looks after the page: what is asked, when, and who is told. */
import { ask, Refusal } from './api.js'
import { createCloseDialog } from './close-dialog.js'
import { byId, setText } from './dom.js'
import { at, count } from './format.js'
import { showStatus, showTitle, showUnreachable } from './summary.js'
import { createTable, whoIs } from './table.js'
import { FILTERS, hashOf, isFiltered, PAGE, queryOf, REACH, readView } from './view.js'
import { startWatch } from './watch.js'
import { translate, words } from './words.js'

/** @typedef {import('./types.js').Session} Session */

const DEBOUNCE_MS = 100

translate()
/** @type {Record<string, any>} by the filter's name */
const fields = Object.fromEntries(FILTERS.map((name) => [name, document.querySelector(`[name=${name}]`)]))
const sources = [
  ['', words.anySource],
  ['backend', words.fromBackend],
  ['remembered', words.fromRemembered],
  ['open-door', words.fromOpenDoor],
]
fields.source.append(...sources.map(([value, text]) => new Option(text, value)))

let view = readView(location.hash)
/** Something else is looked at than the table shows. */
let anew = true
let reachedAt = Date.now()
let answered = false

const table = createTable({
  onSort: (sort) => look({ sort: view.sort === sort ? `-${sort}` : sort, offset: 0 }),
  onClose: (session) => dialog.open(session),
})
const dialog = createCloseDialog((session, block) => watch.first(() => closeSession(session, block)))

// ── What is looked at

/** @param {Partial<typeof view>} change */
function look(change) {
  view = { ...view, ...change }
  // Not a new entry in the history: nobody goes back through the letters of a name.
  history.replaceState(null, '', hashOf(view) || location.pathname + location.search)
  showView()
  watch.askNow()
}

function fillFields() {
  for (const name of FILTERS) fields[name].value = view[name]
}

function showView() {
  byId('clear').disabled = !isFiltered(view)
  table.showSort(view.sort)
  anew = true
}

/** @type {number | undefined} */
let debounce
function onFilter() {
  clearTimeout(debounce)
  debounce = setTimeout(() => {
    const filters = Object.fromEntries(FILTERS.map((name) => [name, fields[name].value.trim()]))
    if (FILTERS.some((name) => filters[name] !== view[name])) look({ ...filters, offset: 0 })
  }, DEBOUNCE_MS)
}

byId('filters').addEventListener('input', onFilter)
byId('clear').addEventListener('click', () => {
  for (const name of FILTERS) fields[name].value = ''
  fields.channel.focus()
  onFilter()
})
byId('previous').addEventListener('click', () => look({ offset: Math.max(0, view.offset - PAGE) }))
byId('next').addEventListener('click', () => look({ offset: view.offset + PAGE }))
window.addEventListener('hashchange', () => {
  view = readView(location.hash)
  fillFields()
  showView()
  watch.askNow()
})

// ── Asking

/** @param {AbortSignal} signal */
async function refresh(signal) {
  try {
    // A change of view drops the question, so this is the answer to what is looked at.
    showSessions(await ask(`sessions?${queryOf(view)}`, { signal }))
  } catch (error) {
    if (!(error instanceof Refusal) || error.status !== 400) throw error
    showSessions({ total: 0, offset: 0, limit: PAGE, sessions: [] }, error.message)
  }
  const status = await ask('status', { signal })
  showStatus(status, view.channel, (channel) => {
    // A second press takes the filter away.
    fields.channel.value = view.channel === channel ? '' : channel
    onFilter()
  })
  for (const option of fields.source.options) {
    const n = status.sessions[option.value]
    // Not while it is open, perhaps.
    if (n !== undefined && fields.source !== document.activeElement) {
      setText(option, `${sources.find(([value]) => value === option.value)?.[1]} (${count(n)})`)
    }
  }
}

/** @param {unknown} error */
function showFailure(error) {
  showUnreachable(
    error instanceof Refusal && error.status < 500
      ? words.refusing(error.status)
      : words.unreachable(at(reachedAt)),
  )
  if (!answered) setText(byId('empty'), words.noAnswer)
}

/**
 * @param {import('./types.js').Sessions} answer
 * @param {string} [wrong] what the service finds wrong with the filter
 */
function showSessions({ total, offset, sessions }, wrong) {
  if (sessions.length === 0 && offset > 0)
    return look({ offset: Math.max(0, Math.ceil(total / PAGE) - 1) * PAGE })
  performance.mark('update')
  table.show(sessions, { anew, opened: dialog.session?.client_id })
  const empty = byId('empty')
  empty.hidden = sessions.length > 0
  if (sessions.length === 0) setText(empty, wrong || (isFiltered(view) ? words.noMatch : words.nobody))
  setText(
    byId('range'),
    sessions.length === 0 ? '' : words.range(offset + 1, offset + sessions.length, total),
  )
  turnable(byId('previous'), byId('next'), offset > 0)
  turnable(byId('next'), byId('previous'), offset + PAGE < Math.min(total, REACH))
  if (offset + PAGE >= REACH && total > REACH) setMessage(words.reach(REACH))
  if (anew) {
    byId('region').scrollTop = 0
    if (isFiltered(view))
      setText(byId('said'), sessions.length === 0 ? empty.textContent : words.matches(total))
  }
  anew = false
  // One entry at a time: the browser keeps them for ever.
  performance.clearMeasures('update')
  performance.measure('update', 'update')
  performance.clearMarks('update')
}

/**
 * @param {HTMLButtonElement} button
 * @param {HTMLButtonElement} other gets the focus of a button that ends being one
 * @param {boolean} can
 */
function turnable(button, other, can) {
  const focused = document.activeElement === button
  button.disabled = !can
  if (focused && !can) other.focus()
}

// ── Closing

/**
 * @param {Session} session
 * @param {string} block
 */
async function closeSession(session, block) {
  const who = whoIs(session)
  try {
    const query = block === '' ? '' : `?block=${block}`
    const { blocked_until: until } = await ask(`sessions/${session.client_id}${query}`, { method: 'DELETE' })
    const closed = words.closed(who, session.channel_id)
    say(until === null ? closed : `${closed} ${words.blocked(at(until))}`)
    removeRow(session)
  } catch (error) {
    if (error instanceof Refusal && error.status === 404) {
      say(words.gone(who, session.channel_id))
      removeRow(session)
    } else say(words.notClosed(who, error instanceof Refusal ? error.message : words.noAnswer))
  }
}

/** @param {Session} session */
function removeRow(session) {
  const region = byId('region')
  const near = table.remove(session.client_id)
  // Only a focus that went with the row; whoever moved on meanwhile is left alone.
  if (document.activeElement === document.body) (near ?? region).focus({ preventScroll: near === undefined })
}

/** @param {string} sentence */
function say(sentence) {
  setMessage(sentence)
  setText(byId('said'), sentence)
}

/** @type {number | undefined} */
let fading
/** @param {string} sentence */
function setMessage(sentence) {
  setText(byId('message'), sentence)
  clearTimeout(fading)
  fading = setTimeout(() => setText(byId('message'), ''), 20_000)
}

setText(byId('empty'), words.loading)
byId('empty').hidden = false
fillFields()
showView()
const watch = startWatch({
  refresh,
  onAnswer() {
    reachedAt = Date.now()
    answered = true
    showUnreachable('')
    showTitle()
  },
  onFailure(error) {
    showFailure(error)
    showTitle()
  },
})
