/**
 * The part of an address that tells one customer from another: for IPv6 the first 64 bits, as everybody has 2^64
 * addresses below them (RFC 6177); for IPv4, also within IPv6 (`::ffff:192.0.2.1`), all of it.
 *
 * @param clientIp as nginx writes it
 */
export function networkOf(clientIp: string): string {
  if (!clientIp.includes(':') || clientIp.includes('.')) return clientIp
  const [head = '', tail] = clientIp.split('::')
  const before = head === '' ? [] : head.split(':')
  if (tail === undefined) return before.slice(0, 4).join(':')
  const after = tail === '' ? [] : tail.split(':')
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0')
  return [...before, ...zeros, ...after].slice(0, 4).join(':')
}
