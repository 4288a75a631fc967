import type { Random } from './random.js'

/** Of the viewer's own channel, as a player asks for them. */
export const ALLOWED = 'a001'
/** Folders beside it, some of them named as a wrong reading of an address would name them. */
export const FORBIDDEN = [
  'b002',
  'A001',
  'a001;',
  'a001 ',
  '%61001',
  'a001%2f..',
  '%2e%2e',
  'a001\\..',
  '..;',
  'a',
  'Канал',
]
/** In each folder, from its root on. */
export const FILES = ['index.m3u8', 'low/0.ts', 'low/with space.ts', 'low/Звук.aac', "~!$&'()*+,;=:@.m4s"]

/** A request target, one character a byte. */
export type Target = string

const utf8 = (text: string) => Buffer.from(text).toString('latin1')
const hex = (byte: number, isUpper: boolean) => {
  const digits = byte.toString(16).padStart(2, '0')
  return `%${isUpper ? digits.toUpperCase() : digits}`
}
const isPlain = (byte: number) => /[\w.~!$&'()*+,;=:@/-]/.test(String.fromCharCode(byte))

/** What a player sends for a file of the allowed channel: nothing encoded that need not be. */
export function playersTarget(random: Random): Target {
  const isUpper = !random.once(4)
  const isRaw = random.once(4)
  const path = Array.from(utf8(`/play/${ALLOWED}/${random.of(FILES)}`), (byte) => {
    const code = byte.charCodeAt(0)
    return isPlain(code) || (isRaw && code >= 0x80) ? byte : hex(code, isUpper)
  }).join('')
  const query = random.of([
    '',
    '',
    '?',
    `?_HLS_msn=${random.below(1e6)}&_HLS_part=1`,
    `?t=${random.below(9)}/../x`,
    '?a=b?c&d',
  ])
  const origin = random.once(20) ? random.of(['http://x', 'http://x:80', 'HTTP://X']) : ''
  return origin + path + query
}

// What stands between two names, and what a reader may take for it. What nginx refuses by itself (bad escapes, %00, raw
// spaces) is rare here: it comes by the changed bytes below.
const SLASHES = [
  '/', '/', '/', '/', '/', '/', '//', '///', '/./', '\\', '%2f', '%2F', '%5c', '%252f', '%c0%af', '%e0%80%af', '\xc0\xaf',
  '%ef%bc%8f', '/;/', ';/', '/%2e/', '/.;/', '/%20/', '/%09', '#/', '/#', '/?', '?/', '%3f/', '%23/', '/%ff/', '/\xff/',
  '/%ed%a0%80/', '/:', '/|/', '/%0a/', '/%0d%0a/',
] // prettier-ignore
const UPS = [
  '..', '..', '..', '%2e%2e', '%2E.', '.%2e', '%252e%252e', '%c0%ae%c0%ae', '%c0%2e.', '\xc0\xae\xc0\xae', '%e0%80%ae.', '..;',
  '..;x=y', '...', '..%20', '..%09', '..\\', '..%5c', '%u002e.', '..%ff', utf8('．．'),
] // prettier-ignore
const STARTS = [
  '/play', '/play', '/play', '/play', '/play', '/play', '/PLAY', '/pla%79', '/%70lay', '//play', '/./play', '/x/../play',
  '/play/../play', '/%2fplay', '\\play', '/play;x', '', '/_hls_auth/../play', '/_hls_auth', '/%2e%2e/play',
] // prettier-ignore
const ORIGINS = ['http://x', 'http://x:80', 'HTTP://x', `http://${ALLOWED}`, 'http:/', 'http:', 'http://', 'http:///', 'https://x', 'http://u@x', 'http://[::1]', '//x', '/\\x', 'http://x/play/a001/..', 'x:80', '*', 'http://x?', 'http://x#'] // prettier-ignore
const TAILS = ['', '', '', '', '', '?', '?/play/a001/', '#', '#/play/a001/', '?/../../a001/', ';', ';/play/a001/', '%20', '.', '/', '/.', '%3f/play/a001/', '?%00', '?\xff', '??'] // prettier-ignore

/** Something that may be read in two ways, and in one of them as a file of another channel. */
export function hostileTarget(random: Random): Target {
  let target = random.once(3) ? withDetour(random, playersTarget(random)) : wanderingTarget(random)
  if (random.once(10)) target = random.of(ORIGINS) + target
  if (random.once(200)) target = target.replace('/', `/${'x'.repeat(random.below(9_000))}/../`)
  for (let changes = random.once(4) ? 1 + random.below(3) : 0; changes > 0; changes--) {
    const at = random.below(target.length + 1)
    target = target.slice(0, at) + anyByte(random) + target.slice(at + random.below(2))
  }
  return target
}

/** Out of the allowed channel into another one, or the other way round. */
function wanderingTarget(random: Random): Target {
  let target = random.of(STARTS)
  for (let depth = 1 + random.below(4); depth > 0; depth--) {
    target += random.of(SLASHES) + (random.once(3) ? random.of(UPS) : folder(random))
  }
  const file = utf8(random.of(FILES))
  const name = random.once(4) ? encoded(random, file) : file.replaceAll(' ', '%20')
  return target + random.of(SLASHES) + name + random.of(TAILS)
}

/** An honest target with one step aside. */
function withDetour(random: Random, target: Target): Target {
  const slashes = [...target.matchAll(/\//g)].map(({ index }) => index)
  const at = random.of(slashes)
  const detour = random.of(SLASHES) + random.of(['', random.of(UPS), folder(random)]) + random.of(SLASHES)
  return target.slice(0, at) + detour + target.slice(at + 1) + (target.includes('?') ? '' : random.of(TAILS))
}

function folder(random: Random): string {
  const plain = utf8(random.once(2) ? random.of(FORBIDDEN) : ALLOWED)
  return random.once(3) ? encoded(random, plain) : plain.replaceAll(' ', '%20')
}

/** Any byte but the two that would end the request line; raw, or written with a %. */
function anyByte(random: Random): string {
  const code = random.below(256)
  const isRaw = random.once(2) && code !== 0x0a && code !== 0x0d
  return isRaw ? String.fromCharCode(code) : hex(code, random.once(2))
}

function encoded(random: Random, text: string): string {
  return Array.from(text, (byte) => {
    const code = byte.charCodeAt(0)
    switch (random.below(8)) {
      case 0:
        return hex(code, true)
      case 1:
        return hex(code, false)
      case 2:
        // Twice, and as too long a form of UTF-8.
        return random.once(2)
          ? `%25${hex(code, true).slice(1)}`
          : hex(0xc0 | (code >> 6), true) + hex(0x80 | (code & 63), true)
      case 3:
        return random.once(2) ? byte.toUpperCase() : byte
      default:
        return byte === ' ' ? '%20' : byte
    }
  }).join('')
}
