import type { Advice } from './advice.js'

/** What a viewer would ask nginx for. Strings hold raw bytes, one character each. */
export interface Address {
  /** As nginx's `$host`: lower case, no port. */
  readonly host: string
  readonly path: string
  /** Without its `?`; empty for none. */
  readonly query: string
  /** Whether characters beyond ASCII were written as escapes, as players do. */
  readonly isEscaped: boolean
  /** Whether something from a `#` on was left out, as players do. */
  readonly isCut: boolean
}

/** The host of an address that begins with its path. */
export const DEFAULT_HOST = 'localhost'

/**
 * Reads an address as nginx would be asked for it: path and query byte for byte, which a URL object would not leave
 * alone.
 *
 * @returns or what is wrong with it, in one sentence that does not quote it
 */
export function readAddress(given: string): Address | { readonly problem: string } {
  const [, origin, rest = ''] = /^([a-z][a-z\d+.-]*:\/\/[^/?#]*)?(.*)$/is.exec(given.trim()) ?? []
  const host = origin === undefined ? DEFAULT_HOST : hostOf(origin)
  if (host === undefined || (origin === undefined && !rest.startsWith('/'))) {
    return {
      problem: 'the address must begin with http:// or https:// and a host, or with the / of its path',
    }
  }
  const [sent = '', ...fragment] = rest.split('#')
  const target = escaped(sent)
  const mark = target.indexOf('?')
  const query = mark < 0 ? '' : target.slice(mark + 1)
  // eslint-disable-next-line no-control-regex -- nginx itself answers 400 to these
  if (/[\x00-\x20\x7f]/.test(query)) {
    return { problem: 'the query holds a space or a control byte: write it as an escape, such as %20' }
  }
  return {
    host,
    path: (mark < 0 ? target : target.slice(0, mark)) || '/',
    query,
    isEscaped: target !== sent,
    isCut: fragment.length > 0,
  }
}

function hostOf(origin: string): string | undefined {
  if (!/^https?:/i.test(origin) || origin.includes('\\') || !URL.canParse(origin)) return undefined
  return new URL(origin).hostname.replace(/\.$/, '')
}

function escaped(text: string): string {
  return text.replace(/[^\0-\x7f]+/g, (run) =>
    [...Buffer.from(run)].map((byte) => `%${byte.toString(16).toUpperCase()}`).join(''),
  )
}

/** What was changed in an address as it was given, for whoever reads the report. */
export function notesOn({ isEscaped, isCut }: Address): Advice[] {
  return [
    ...(isEscaped
      ? [
          {
            code: 'escaped',
            text: 'Characters beyond ASCII were escaped as UTF-8, as browsers and players do before they ask.',
          },
        ]
      : []),
    ...(isCut
      ? [{ code: 'fragment_left_out', text: 'What begins with # was left out: players do not send it.' }]
      : []),
  ]
}
