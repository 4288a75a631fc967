// @ts-check
/** What the page says, in the reader's language: en.js or ru.js. */
import { language } from './format.js'

/** @type {import('./types.js').Words} */
export const words = (await import(`./${language}.js`)).default

/** Puts the words into the page's own text. */
export function translate() {
  const said = /** @type {Record<string, unknown>} */ (words)
  document.documentElement.lang = language
  for (const element of document.querySelectorAll('[data-text]')) {
    element.textContent = String(said[element.getAttribute('data-text') ?? ''])
  }
  for (const element of document.querySelectorAll('[data-label]')) {
    element.setAttribute('aria-label', String(said[element.getAttribute('data-label') ?? '']))
  }
}
