/*
 * Node and fetch show a header's bytes as latin1: one character a byte. That form is kept from one header to
 * the next, so that bytes pass unchanged; these functions cross over to and from real text.
 */

/** Text → header value: UTF-8 bytes, one character each. */
export function headerFromText(text: string): string {
  return isAscii(text) ? text : Buffer.from(text, 'utf8').toString('latin1')
}

/** Header value → text for logs and pages. Bytes that are not UTF-8 show as U+FFFD; control characters too. */
export function textFromHeader(value: string): string {
  if (isAscii(value)) return value
  return Buffer.from(value, 'latin1').toString('utf8').replace(/\p{C}/gu, '\uFFFD')
}

/** The longest session name that is passed on, in bytes: with it the reply fits nginx's `proxy_buffer_size`. */
const MAX_NAME_BYTES = 255

/**
 * A backend's name made fit for a header and a log line: control bytes become `?`, and what is longer than
 * {@link MAX_NAME_BYTES} is cut between two UTF-8 characters. All other bytes stay as the backend sent them.
 */
export function safeName(value: string): string {
  // Spaces and tabs alone: trim() would take the last byte of `Р` for a no-break space.
  const trimmed = value.slice(0, 4 * MAX_NAME_BYTES).replace(/^[ \t]+|[ \t]+$/g, '')
  // eslint-disable-next-line no-control-regex -- control bytes are what this is about
  const name = trimmed.replace(/[\x00-\x1f\x7f]/g, '?')
  if (name.length <= MAX_NAME_BYTES) return name
  const isContinuation = (at: number) => (name.charCodeAt(at) & 0xc0) === 0x80
  let end = MAX_NAME_BYTES
  while (end > MAX_NAME_BYTES - 4 && isContinuation(end)) end--
  return name.slice(0, end)
}

function isAscii(text: string): boolean {
  // eslint-disable-next-line no-control-regex
  return /^[\x20-\x7e]*$/.test(text)
}
