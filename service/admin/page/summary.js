// @ts-check
/** The line of totals, and the two banners. */
import { arrange, byId, setText } from './dom.js'
import { at, count, duration, longDuration } from './format.js'
import { words } from './words.js'

/** @typedef {import('./types.js').Status} Status */

/** Latencies below this, in ms, are drawn in its scale: jitter of a quick backend is no news. */
const CALM_MS = 50
const WIDTH = 120
const HEIGHT = 24
const POINTS = 60

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
function showBackend({ backend, outages }) {
  const past = outages > 0 ? [words.outages(outages)] : []
  setText(byId('backend-what'), [backend.type, ...past, backend.url].join(', '))
  byId('backend-what').title = backend.url
  const asked = backend.latency.filter((ms) => ms !== null)
  const last = asked.at(-1)
  const state = backend.state === 'up' && last !== undefined ? words.upIn(last) : words[backend.state]
  setText(byId('backend-state'), state)
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

/** @param {Status} status */
function showOutage({ outage, when_backend_down: door }) {
  const banner = byId('outage')
  banner.hidden = outage === null
  const [since, policy, soFar] = banner.children
  setText(since, outage ? words.outage(at(outage.since)) : '')
  setText(policy, outage ? (door === 'allow' ? words.outageAllow : words.outageDeny) : '')
  setText(soFar, outage ? words.outageSoFar(outage.admitted, duration(outage.seconds)) : '')
}

/** @param {string} sentence empty when all is well */
export function showUnreachable(sentence) {
  const banner = byId('unreachable')
  banner.hidden = sentence === ''
  setText(banner, sentence)
}

/** The window's title tells what is wrong to whoever looks at another one. */
export function showTitle() {
  const wrong = !byId('unreachable').hidden
    ? words.unreachableTitle
    : !byId('outage').hidden
      ? words.outageTitle
      : undefined
  const title = wrong === undefined ? words.sessions : `⚠ ${wrong} – ${words.sessions}`
  if (document.title !== title) document.title = title
}
