// @ts-check
/** The line of totals, and what is wrong: the two banners, the window's title and icon. */
import { arrange, byId, setText } from './dom.js'
import { at, count, duration, longDuration } from './format.js'
import { words } from './words.js'

/** @typedef {import('./types.js').Status} Status */

/** Latencies below this, in ms, are drawn in its scale: jitter of a quick backend is no news. */
const CALM_MS = 50
const WIDTH = 120
const HEIGHT = 24
const POINTS = 60

const ALARM =
  'data:image/svg+xml,<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 2 2"><circle cx="1" cy="1" r="1" fill="red"/></svg>'

/** @type {Map<string, HTMLLIElement>} */
const channels = new Map()

/**
 * @param {Status} status
 * @param {string} chosen the channel that is filtered by, empty for none
 * @param {(channel: string) => void} onChannel
 */
export function showStatus(status, chosen, onChannel) {
  setText(byId('service'), words.service(status.version, longDuration(status.uptime)))
  setText(byId('watching'), count(status.sessions.watching))
  setText(byId('open'), count(status.sessions.open))
  setText(byId('admitted'), count(status.last_minute.admitted))
  setText(byId('refused'), count(status.last_minute.refused))
  setText(byId('in-flight'), count(status.backend.in_flight))
  showBackend(status)
  showChannels(status.channels, chosen, onChannel)
  showOutage(status)
}

/** @param {Status} status */
function showBackend({ backend, outage, outages }) {
  const past = outages > 0 ? [words.outages(outages)] : []
  setText(byId('backend-what'), [backend.type, ...past, backend.url].join(', '))
  byId('backend-what').title = backend.url
  const asked = backend.latency.filter((ms) => ms !== null)
  const last = asked.at(-1)
  const states = {
    up: last === undefined ? words.up : words.upIn(last),
    failing: words.failing(backend.failures),
    down: outage && wordsOf(outage.backend),
    unknown: words.unknown,
  }
  setText(byId('backend-state'), states[backend.state] ?? '')
  byId('backend').dataset.state = backend.state

  const most = Math.max(CALM_MS, ...asked)
  const first = POINTS - backend.latency.length
  const path = backend.latency.map((ms, i) => {
    if (ms === null) return ''
    const x = ((first + i) * WIDTH) / (POINTS - 1)
    const y = HEIGHT - 1.5 - (ms / most) * (HEIGHT - 3)
    // After a gap a new line begins; a point with a gap on both sides is a short one.
    const begins = (backend.latency[i - 1] ?? null) === null
    return `${begins ? 'M' : 'L'}${x.toFixed(1)} ${y.toFixed(1)}${begins ? 'h.5' : ''}`
  })
  const latency = byId('latency')
  latency.firstElementChild.setAttribute('d', path.join(''))
  latency.ariaLabel = last === undefined ? words.noLatency : words.latency(last, Math.max(...asked))
}

/**
 * @param {Status['channels']} most
 * @param {string} chosen
 * @param {(channel: string) => void} onChannel
 */
function showChannels(most, chosen, onChannel) {
  const items = most.map(({ channel_id: id, watching }) => {
    const item = channels.get(id) ?? channelItem(id, onChannel)
    const button = /** @type {HTMLButtonElement} */ (item.firstElementChild)
    const [name, number] = button.children
    setText(name, id)
    setText(number, count(watching))
    button.ariaLabel = words.showChannel(id, watching)
    button.ariaPressed = String(id === chosen)
    return item
  })
  const list = byId('channels')
  // Buttons do not change places under a pointer or the focus.
  if (list.firstElementChild && list.matches(':hover, :focus-within')) return
  channels.clear()
  for (const [i, { channel_id: id }] of most.entries()) {
    channels.set(id, items[i])
  }
  arrange(list, items)
  suggest([...channels.keys()].toSorted())
}

/**
 * What the channel field offers; renewed only when it changes, as it may be open.
 *
 * @param {string[]} ids
 */
function suggest(ids) {
  const offered = byId('known-channels')
  if (ids.some((id, i) => offered.children[i]?.value !== id) || ids.length !== offered.children.length) {
    offered.replaceChildren(...ids.map((id) => new Option('', id)))
  }
}

/**
 * @param {string} id
 * @param {(channel: string) => void} onChannel
 */
function channelItem(id, onChannel) {
  const item = document.createElement('li')
  const button = document.createElement('button')
  button.type = 'button'
  button.append(document.createElement('span'), document.createElement('span'))
  button.addEventListener('click', () => onChannel(id))
  item.append(button)
  return item
}

/** @param {import('./types.js').Cause} cause */
const wordsOf = (cause) => (typeof cause === 'number' ? words.status(cause) : words.causes[cause])

/** @param {Status} status */
function showOutage({ backend: { never_answered: never }, outage, when_backend_down: door }) {
  const banner = byId('outage')
  banner.hidden = outage === null && never === null
  const [since, policy, soFar] = banner.children
  const what = outage ? words.outage(at(outage.since), wordsOf(outage.backend)) : ''
  setText(since, never === null ? what : words.neverAnswered(wordsOf(never)))
  setText(policy, banner.hidden ? '' : door === 'allow' ? words.outageAllow : words.outageDeny)
  setText(soFar, outage ? words.outageSoFar(outage.admitted, duration(outage.seconds)) : '')
}

/**
 * Says why what is shown is not up to date.
 *
 * @param {string} [sentence] none when it is
 * @param {string} [title]
 */
export function showTrouble(sentence = '', title = '') {
  const banner = byId('trouble')
  banner.hidden = sentence === ''
  setText(banner, sentence)
  showTitle(title || (byId('outage').hidden ? '' : words.outageTitle))
}

/**
 * The window's title and icon tell what is wrong to whoever looks at another one.
 *
 * @param {string} wrong empty for nothing
 */
function showTitle(wrong) {
  const title = wrong === '' ? words.sessions : `⚠ ${wrong} – ${words.sessions}`
  if (document.title === title) return
  document.title = title
  byId('icon').href = wrong === '' ? 'data:,' : ALARM
}
