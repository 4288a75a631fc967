import type { ChannelPattern } from './channel-pattern.js'

/*
 * nginx serves the normal form of a path; the service is told the raw one. Instead of copying nginx's
 * normalisation, only paths that already are in normal form are let through: what is judged is what is served.
 */

// Each segment: characters that RFC 3986 allows unescaped, and not `.` or `..`.
const PLAIN_PATH = /^(?:\/(?!\.\.?(?:\/|$))[\w.~!$&'()*+,;=:@-]+)+\/?$/
// The same with escapes and raw bytes of UTF-8. Left out: control bytes, space, `#`, `?`, `\`, doubled slashes.
const ESCAPED_PATH =
  /^(?:\/(?!\.\.?(?:\/|$))(?:[\w.~!$&'()*+,;=:@"<>[\]^`{|}\x80-\xff-]|%[0-9A-Fa-f]{2})+)+\/?$/
// Escapes that no player writes and that hide what a path means: control bytes, `/`, `\`, and RFC 3986's
// unreserved characters, among them the dot.
const HIDING_ESCAPE = /%(?:[01].|7f|2f|5c|2[de]|3\d|4[1-9a-f]|5[0-9af]|6[1-9a-f]|7[0-9ae])/i

// What would reach logs, in which JSON leaves it alone, the operator's page and the terminals on which those are read: the
// control characters that UTF-8 writes in two bytes, and those that turn around what stands after them, so that one
// channel reads as another (https://www.unicode.org/reports/tr9/, embeddings, overrides and isolates). No name needs
// them; the joiners of Persian and of emoji, and the marks of Hebrew, are others.
const HIDING_CHARACTER = /[\u0080-\u009f\u202a-\u202e\u2066-\u2069]/

/**
 * The longest path that is judged, in bytes as the viewer sent it. No playlist needs so much, and nginx repeats no answer
 * about a longer one (`$hls_memory` in nginx/hls-auth/http.conf), so that each request would have to be judged anew.
 */
export const MAX_PATH_BYTES = 2_048

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Decodes a path that is in normal form (RFC 3986, section 6.2.2): one step, exactly as nginx does.
 *
 * @param path raw bytes, one character each
 * @returns the text of the path, or undefined for every path that nginx would serve under another spelling, and for one
 *   that is longer than {@link MAX_PATH_BYTES}
 */
export function decodeCanonicalPath(path: string): string | undefined {
  if (path.length > MAX_PATH_BYTES) return undefined
  if (PLAIN_PATH.test(path)) return path
  if (!ESCAPED_PATH.test(path) || HIDING_ESCAPE.test(path)) return undefined
  const bytes = path.replace(/%(..)/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)))
  try {
    const text = utf8.decode(Buffer.from(bytes, 'latin1'))
    return HIDING_CHARACTER.test(text) ? undefined : text
  } catch {
    return undefined
  }
}

/**
 * A channel as a log may show it. What a player took for a query, and nginx for a part of the path, may be a token: behind
 * an escaped `?` or a `#` all, behind `&` and `;` what has a `=`. A name like `A&E` stays.
 */
export function loggedChannel(id: string): string {
  return id.replace(/[?#].*|[&;][^&;]*=.*/s, '…')
}

/** What a path belongs to. */
export interface Channel {
  readonly id: string
  /** Whether everything in the path's folder belongs to it: then nginx may remember a decision for the folder. */
  readonly isWholeFolder: boolean
}

/**
 * The channel of a decoded path. The path's folder is tried first, so that where it is enough, no file's name can say
 * otherwise.
 *
 * @returns undefined when the path is not a channel's, or when spaces around its name would be lost in a header, so
 *   that the backend would be asked about another channel
 */
export function channelOf(path: string, pattern: ChannelPattern): Channel | undefined {
  const ofFolder = idIn(path.slice(0, path.lastIndexOf('/') + 1), pattern)
  if (ofFolder !== undefined) return { id: ofFolder, isWholeFolder: true }
  const ofFile = idIn(path, pattern)
  return ofFile === undefined ? undefined : { id: ofFile, isWholeFolder: false }
}

function idIn(path: string, pattern: ChannelPattern): string | undefined {
  const found = pattern.channelIn(path)
  return found === '' || found !== found?.trim() ? undefined : found
}
