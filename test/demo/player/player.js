/* global Hls */
const element = (id) => document.getElementById(id)
const video = element('video')
const parameters = new URLSearchParams(location.search)
let hls
/** What the field was filled with, as opposed to typed or given in the address. */
let issued

/** Says what is going on, in words for a viewer and in data attributes for a test. */
function show(state, words, status = '') {
  document.body.dataset.state = state
  document.body.dataset.status = status
  // Only when it changes: a screen reader reads each change aloud.
  if (element('status').textContent !== words) element('status').textContent = words
  element('time').textContent = state === 'playing' ? `${video.currentTime.toFixed(1)} s` : ''
}

async function freshToken() {
  const before = element('token').value
  const response = await fetch('demo/token', { cache: 'no-store' })
  const token = (await response.text()).trim()
  // What has been typed or chosen meanwhile counts.
  if (element('token').value === before) element('token').value = issued = token
}

async function play() {
  hls?.destroy()
  show('loading', 'Asking …')
  if (!Hls.isSupported()) return show('failed', 'Cannot play: this browser has no Media Source Extensions.')
  // As a portal makes a link when its button is pressed: one made with the page may be dead or spent by now.
  if (element('token').value === issued) await freshToken()
  const channel = element('channel').value
  const token = element('token').value
  const query = token === '' ? '' : `?token=${encodeURIComponent(token)}`
  // Again, for Play may have been pressed twice while the token came.
  hls?.destroy()
  hls = new Hls({ enableWorker: false })
  hls.on(Hls.Events.ERROR, (_, data) => {
    const status = data.response?.code
    if (status === 401 || status === 403) {
      show('refused', `Refused: the server answered ${status} to ${data.details}.`, status)
      hls.destroy()
    } else if (data.fatal) {
      show('failed', `Cannot play: ${data.details}${status ? ` (${status})` : ''}.`, status)
    }
  })
  hls.loadSource(`play/${channel}/index.m3u8${query}`)
  hls.attachMedia(video)
  video.play().catch(() => {})
}

video.addEventListener('timeupdate', () => {
  if (document.body.dataset.state === 'refused' || document.body.dataset.state === 'failed') return
  if (video.currentTime > 0 && !video.paused) show('playing', 'Playing.')
})
element('fresh').addEventListener('click', () => void freshToken().catch(noMiddleware))
element('wrong').addEventListener('click', () => (element('token').value = 'wrong'))
element('form').addEventListener('submit', (event) => {
  event.preventDefault()
  play().catch(noMiddleware)
})

async function start() {
  const { dialect, channels } = await (await fetch('demo/info')).json()
  element('about').textContent =
    `A demo middleware that speaks the dialect “${dialect}” decides who may watch.`
  element('channel').append(...channels.map((channel) => new Option(channel)))
  if (parameters.has('channel')) element('channel').value = parameters.get('channel')
  if (parameters.has('token')) element('token').value = parameters.get('token')
  else await freshToken()
  if (parameters.has('autoplay')) await play()
}

function noMiddleware(error) {
  show('failed', `The demo's middleware does not answer: ${error.message}.`)
}

start().catch(noMiddleware)
