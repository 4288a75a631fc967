// @ts-check
/** Looks after the page: what is asked, when, and who is told. */
import { ask, Refusal } from './api.js'
import { showBlocks } from './blocks.js'
import { createCloseDialog } from './close-dialog.js'
import { createDeeds } from './deeds.js'
import { byId, setText } from './dom.js'
import { at, count } from './format.js'
import { hint } from './message.js'
import { showStatus, showTrouble } from './summary.js'
import { createTable } from './table.js'
import { FILTERS, hashOf, isFiltered, PAGE, queryOf, REACH, readView } from './view.js'
import { startWatch } from './watch.js'
import { translate, words } from './words.js'

/** @typedef {import('./types.js').Session} Session */

const DEBOUNCE_MS = 100

translate()
/** @type {Record<string, any>} by the filter's name */
const fields = Object.fromEntries(FILTERS.map((name) => [name, document.querySelector(`[name=${name}]`)]))
const sources = Object.entries(words.sources)
fields.source.append(
  new Option(words.anySource, ''),
  ...sources.map(([value, text]) => new Option(text, value)),
)

let view = readView(location.hash)
/** Something else is looked at than the table shows. */
let anew = true
let reachedAt = Date.now()
let answered = false

const table = createTable({
  onSort: (sort) => look({ sort: view.sort === sort ? `-${sort}` : sort, offset: 0 }),
  onClose: (session) => dialog.open(session),
})
const deeds = createDeeds({ queue: (deed) => watch.first(deed), onGone: removeRow })
const dialog = createCloseDialog(deeds.close)

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
  // Who looks at another window sees this one's title alone.
  const isSeen = !document.hidden
  // A change of view drops the question, so this is the answer to what is looked at.
  if (isSeen) showSessions(await ask(`sessions?${queryOf(view)}`, { signal }))
  const status = await ask('status', { signal })
  showStatus(status, view.channel, (channel) => {
    // A second press takes the filter away.
    fields.channel.value = view.channel === channel ? '' : channel
    onFilter()
  })
  // Not while it is open, perhaps.
  if (fields.source !== document.activeElement) {
    for (const [i, [source, text]] of sources.entries()) {
      setText(fields.source.options[i + 1], `${text} (${count(status.sessions[source])})`)
    }
  }
  if (isSeen) showBlocks((await ask('blocks', { signal })).blocks, deeds.lift)
}

/** @param {unknown} error */
function showFailure(error) {
  const isAnswer = error instanceof Refusal
  showTrouble(
    `${isAnswer ? words.answered(error.status) : words.unreachable(at(reachedAt))} ${words.goesOn}`,
    isAnswer ? words.staleTitle : words.unreachableTitle,
  )
  if (!answered) setText(byId('empty'), words.noAnswer)
}

/** @param {import('./types.js').Sessions} answer */
function showSessions({ total, offset, sessions }) {
  if (sessions.length === 0 && offset > 0)
    return look({ offset: Math.max(0, Math.ceil(total / PAGE) - 1) * PAGE })
  answered = true
  performance.mark('update')
  table.show(sessions, { anew, opened: dialog.session?.client_id })
  const empty = byId('empty')
  empty.hidden = sessions.length > 0
  if (sessions.length === 0) setText(empty, isFiltered(view) ? words.noMatch : words.nobody)
  setText(
    byId('range'),
    sessions.length === 0 ? '' : words.range(offset + 1, offset + sessions.length, total),
  )
  turnable(byId('previous'), byId('next'), offset > 0)
  turnable(byId('next'), byId('previous'), offset + PAGE < Math.min(total, REACH))
  if (offset + PAGE >= REACH && total > REACH) hint(words.reach(REACH))
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

/** @param {Session} session */
function removeRow(session) {
  const region = byId('region')
  const near = table.remove(session.client_id)
  // Only a focus that went with the row; whoever moved on meanwhile is left alone.
  if (document.activeElement === document.body) (near ?? region).focus({ preventScroll: near === undefined })
}

setText(byId('empty'), words.loading)
byId('empty').hidden = false
fillFields()
showView()
const watch = startWatch({
  refresh,
  onAnswer() {
    reachedAt = Date.now()
    showTrouble()
  },
  onFailure: showFailure,
})
