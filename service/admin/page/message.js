// @ts-check
/** What came of the operator's last deed, for twenty seconds, and the button that undoes it. */
import { byId, setText } from './dom.js'

const SHOWN_MS = 20_000

const message = byId('message')
const button = byId('undo')
/** @type {(() => void) | undefined} */
let undone
/** @type {number | undefined} */
let fading

/**
 * @param {string} sentence
 * @param {() => void} [undo]
 */
export function say(sentence, undo) {
  show(sentence, undo)
  setText(byId('said'), sentence)
}

/** @param {string} sentence not said aloud, and not in another's place */
export function hint(sentence) {
  if (['', sentence].includes(message.textContent)) show(sentence)
}

/**
 * @param {string} sentence
 * @param {() => void} [undo]
 */
function show(sentence, undo) {
  setText(message, sentence)
  undone = undo
  const focused = document.activeElement === button
  button.hidden = undo === undefined
  if (focused && button.hidden) byId('region').focus({ preventScroll: true })
  clearTimeout(fading)
  if (sentence !== '') fading = setTimeout(show, SHOWN_MS, '')
}

button.addEventListener('click', () => undone?.())
