import type { NginxOptions } from './harness.js'

/** What an operator does to have nginx write the query into playlists. */
export const QUERY_IN_PLAYLISTS: NginxOptions['changes'] = [
  ['nginx.conf', '# include hls-auth/query-in-playlists.conf;', 'include hls-auth/query-in-playlists.conf;'],
]
