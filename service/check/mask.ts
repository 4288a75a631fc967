/*
 * What a check prints ends up in tickets and forums: nothing that works as a credential may stand in it. Names of
 * parameters may, values may not.
 */

/** The first and the last character, and of a short value neither. */
export function maskedValue(value: string): string {
  return value.length < 8 ? '…' : `${value[0]}…${value.at(-1)}`
}

/** A query, each value masked, as it may stand in an address. */
export function maskedQuery(query: string): string {
  return query
    .split('&')
    .map((pair) => {
      const { name, value } = partsOf(pair)
      return `${name}${value && maskedValue(value)}`
    })
    .join('&')
}

/** The same for reading: `token=1…f (32 characters), uid=… (4 characters)`. */
export function describedQuery(query: string): string {
  return query
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair) => {
      const { name, value } = partsOf(pair)
      if (value === '') return `${name} (empty)`
      return `${name}${maskedValue(value)} (${value.length} ${value.length === 1 ? 'character' : 'characters'})`
    })
    .join(', ')
}

/** A pair in two: what may be shown, with its `=`, and what may not. What looks like a bare token has no name. */
function partsOf(pair: string): { readonly name: string; readonly value: string } {
  const end = pair.indexOf('=') + 1
  const [name, value] = [pair.slice(0, end), pair.slice(end)]
  // Base64 ends with one or two `=`.
  const isNamed = /^=*$/.test(value) ? /^[a-z_]{1,16}=$/.test(name) : /^[\w.%[\]~-]{1,32}=$/.test(name)
  return isNamed ? { name, value } : { name: '', value: pair }
}

/** From how many characters on a value is looked for in what a backend says: shorter ones are parts of other words. */
const MIN_ECHO = 6

/**
 * Masks what these queries and this password say wherever a text repeats it: backends echo tokens in headers.
 */
export function createEchoMask(queries: readonly string[], password: string): (text: string) => string {
  const values = [
    ...queries.flatMap((query) => query.split('&').map((pair) => partsOf(pair).value)),
    password,
  ]
  const secrets = [...values, ...values.map(decoded)]
    .filter((value) => value.length >= MIN_ECHO)
    .toSorted((one, other) => other.length - one.length)
  return (text) => secrets.reduce((masked, secret) => masked.split(secret).join(maskedValue(secret)), text)
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return text
  }
}
