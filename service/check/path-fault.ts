import { decodeCanonicalPath, MAX_PATH_BYTES } from '../channel.js'

/** Why a path is not judged: it is too long, or not in normal form. */
export interface PathFault {
  readonly kind: 'too_long' | (typeof FAULTS)[number][0] | 'not_utf8'
  /** Where it shows; empty for the path as a whole. */
  readonly found: string
}

// In the order in which they are looked for. Together with `too_long` and `not_utf8` they are all that decodeCanonicalPath refuses.
const FAULTS = [
  ['no_leading_slash', /^(?!\/)/],
  ['only_a_slash', /^\/$/],
  // eslint-disable-next-line no-control-regex -- control bytes are what this is about
  ['control_byte', /[\x00-\x1f\x7f]/],
  ['space', / /],
  ['backslash', /\\/],
  ['number_sign', /#/],
  ['question_mark', /\?/],
  ['doubled_slash', /\/\/+/],
  ['dot_segment', /\/\.\.?(?=\/|$)/],
  ['bad_escape', /%(?![\da-f]{2})[^/]{0,2}/i],
  ['encoded_control_byte', /%(?:[01].|7f)/i],
  ['encoded_control_byte', /(?:%[Cc]2|\xc2)(?:%[89][\da-fA-F]|[\x80-\x9f])/],
  [
    'direction_character',
    /(?:%[Ee]2|\xe2)(?:(?:%80|\x80)(?:%[Aa][a-eA-E]|[\xaa-\xae])|(?:%81|\x81)(?:%[Aa][6-9]|[\xa6-\xa9]))/,
  ],
  ['encoded_slash', /%2f/i],
  ['encoded_backslash', /%5c/i],
  ['encoded_plain_character', /%(?:2[de]|3\d|4[1-9a-f]|5[0-9af]|6[1-9a-f]|7[0-9ae])/i],
] as const satisfies readonly (readonly [string, RegExp])[]

/**
 * The first reason for which {@link decodeCanonicalPath} refuses a path.
 *
 * @param path raw bytes, one character each
 * @returns undefined for a path that it decodes
 */
export function pathFaultOf(path: string): PathFault | undefined {
  if (decodeCanonicalPath(path) !== undefined) return undefined
  if (path.length > MAX_PATH_BYTES) return { kind: 'too_long', found: '' }
  for (const [kind, pattern] of FAULTS) {
    const match = pattern.exec(path)
    if (match) return { kind, found: match[0] }
  }
  return { kind: 'not_utf8', found: '' }
}

/** What is wrong and what to do, in one sentence. */
export function sentenceOf({ kind, found }: PathFault): string {
  switch (kind) {
    case 'too_long':
      return `The path is longer than ${MAX_PATH_BYTES} bytes, more than the service judges: shorten the names in it.`
    case 'no_leading_slash':
      return 'The path does not begin with a slash: write it from / on.'
    case 'only_a_slash':
      return "The path is / alone, which is no channel's: write the address of a playlist."
    case 'control_byte':
      return 'The path holds a control byte, to which nginx itself answers 400: leave it out.'
    case 'space':
      return 'The path holds a space, to which nginx itself answers 400: write %20.'
    case 'backslash':
      return 'The path holds a \\, which some programs take for a slash: write the address without it.'
    case 'number_sign':
      return 'The path holds a #, where an address ends for players: write %23.'
    case 'question_mark':
      return "The path holds a ?, where an address's query begins: write %3F."
    case 'doubled_slash':
      return `The path holds ${found}, which nginx serves as a single slash: write one.`
    case 'dot_segment':
      return `The path holds ${found}, which nginx resolves to another path: write that path itself.`
    case 'bad_escape':
      return `The path holds ${found}, where a % begins no escape: write %25 for the character %.`
    case 'encoded_control_byte':
      return `The path holds ${found}, a control byte: leave it out.`
    case 'direction_character':
      return `The path holds ${found}, which turns around the text that stands after it: leave it out.`
    case 'encoded_slash':
      return `The path holds ${found}, a slash in disguise: write / where folders are meant, and no slash in a channel's name.`
    case 'encoded_backslash':
      return `The path holds ${found}, which is a \\: write the address without it.`
    case 'encoded_plain_character': {
      const character = String.fromCharCode(parseInt(found.slice(1), 16))
      return `The path holds ${found} for "${character}", which needs no escape and which players do not escape: write ${character}.`
    }
    case 'not_utf8':
      return "The path holds bytes or escapes that are not UTF-8: write the channel's name in UTF-8."
  }
}
