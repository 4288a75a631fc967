/**
 * The part of an IP address that tells one customer from another: for IPv6 the first 56 bits, which is what a household
 * gets at least (RIPE-690), so that nobody has many networks; for IPv4, also within IPv6
 * (`::ffff:192.0.2.1`), all of it.
 *
 * @param clientIp as nginx writes it
 */
export function networkOf(clientIp: string): string {
  if (!clientIp.includes(':') || clientIp.includes('.')) return clientIp
  const [head = '', tail] = clientIp.split('::')
  const before = head === '' ? [] : head.split(':')
  const after = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0')
  const [first, second, third, fourth = '0'] = [...before, ...zeros, ...after]
  return `${first}:${second}:${third}:${fourth.padStart(4, '0').slice(0, 2)}`
}
