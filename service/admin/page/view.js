// @ts-check
/** What is looked at: kept in the address after #, so that a link or a reload shows the same. */
import { words } from './words.js'

/** The names of the service's own parameters. */
export const FILTERS = /** @type {const} */ (['channel', 'name', 'ip', 'source'])
const SORTABLE = ['name', 'channel_id', 'addr', 'uptime', 'last_seen', 'expires']

export const PAGE = 100
/** The service pages no further than this. */
export const REACH = 10_000

/** The newest first: the order in which rows move least while they are read. */
const DEFAULT_SORT = 'uptime'

/**
 * @typedef {Record<typeof FILTERS[number], string> & { sort: string, offset: number }} View
 */

/**
 * @param {string} hash
 * @returns {View} with defaults for whatever it does not say, or says wrongly
 */
export function readView(hash) {
  const said = new URLSearchParams(hash.replace(/^#/, ''))
  const sort = said.get('sort') ?? ''
  const source = said.get('source') ?? ''
  const offset = Math.floor(Number(said.get('offset')) / PAGE) * PAGE
  return {
    channel: said.get('channel') ?? '',
    name: said.get('name') ?? '',
    ip: said.get('ip') ?? '',
    source: Object.hasOwn(words.sources, source) ? source : '',
    sort: SORTABLE.includes(sort.replace(/^-/, '')) ? sort : DEFAULT_SORT,
    offset: offset >= 0 && offset < REACH ? offset : 0,
  }
}

/** @param {View} view */
export const isFiltered = (view) => FILTERS.some((name) => view[name] !== '')

/**
 * @param {View} view
 * @returns {string} empty for the default view
 */
export function hashOf(view) {
  const said = filtersOf(view)
  if (view.sort !== DEFAULT_SORT) said.set('sort', view.sort)
  if (view.offset > 0) said.set('offset', String(view.offset))
  const text = said.toString()
  return text === '' ? '' : `#${text}`
}

/** @param {View} view */
export function queryOf(view) {
  const query = filtersOf(view)
  query.set('sort', view.sort)
  query.set('offset', String(view.offset))
  query.set('limit', String(PAGE))
  return query.toString()
}

/** @param {View} view */
function filtersOf(view) {
  const query = new URLSearchParams()
  for (const name of FILTERS) if (view[name] !== '') query.set(name, view[name])
  return query
}
