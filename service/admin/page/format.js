// @ts-check
/** Numbers and times as the reader writes them. */

const locale = navigator.languages.find((tag) => /^(en|ru)\b/i.test(tag)) ?? 'en'
export const language = locale.slice(0, 2).toLowerCase() === 'ru' ? 'ru' : 'en'

const numbers = new Intl.NumberFormat(locale)
const plurals = new Intl.PluralRules(locale)
const clock = new Intl.DateTimeFormat(locale, { timeStyle: 'medium' })
const dayAndClock = new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'medium' })
const relative = new Intl.RelativeTimeFormat(locale, {
  numeric: 'auto',
  style: language === 'ru' ? 'short' : 'narrow',
})
const days = new Intl.NumberFormat(locale, { style: 'unit', unit: 'day', unitDisplay: 'long' })

/** @param {number} value */
export const count = (value) => numbers.format(value)

/**
 * A time of day, with the date unless it is today's.
 *
 * @param {string | number} time
 */
export function at(time) {
  const date = new Date(time)
  return (date.toDateString() === new Date().toDateString() ? clock : dayAndClock).format(date)
}

/**
 * h:mm:ss
 *
 * @param {number} seconds
 */
export function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds))
  const two = (/** @type {number} */ part) => String(part % 60).padStart(2, '0')
  return `${Math.floor(whole / 3600)}:${two(Math.floor(whole / 60))}:${two(whole)}`
}

/**
 * h:mm:ss, from a day on “11 days”
 *
 * @param {number} seconds
 */
export const longDuration = (seconds) =>
  seconds < 86_400 ? duration(seconds) : days.format(Math.floor(seconds / 86_400))

/**
 * “now”, “3s ago”, “in 2h”
 *
 * @param {number} ms below zero for the past
 */
export function fromNow(ms) {
  const seconds = Math.round(ms / 1000)
  const size = Math.abs(seconds)
  if (size < 60) return relative.format(seconds || -0, 'second')
  if (size < 3600) return relative.format(Math.trunc(seconds / 60), 'minute')
  if (size < 86_400) return relative.format(Math.trunc(seconds / 3600), 'hour')
  return relative.format(Math.trunc(seconds / 86_400), 'day')
}

/**
 * A number and its noun.
 *
 * @param {number} n
 * @param {string} one
 * @param {string} few
 * @param {string} [many]
 */
export function some(n, one, few, many = few) {
  const form = plurals.select(n)
  return `${count(n)} ${form === 'one' ? one : form === 'few' ? few : many}`
}
