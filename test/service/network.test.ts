import { expect, it } from 'vitest'
import { networkOf } from '../../service/network.js'

it.each([
  ['192.0.2.1', '192.0.2.1'],
  ['::ffff:192.0.2.1', '::ffff:192.0.2.1'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:00'],
  ['2001:db8:1:2ff:3:4:5:6', '2001:db8:1:02'],
  ['2001:db8:1:abcd::6', '2001:db8:1:ab'],
  ['2001:db8::6', '2001:db8:0:00'],
  ['2001:db8:1::', '2001:db8:1:00'],
  ['::1', '0:0:0:00'],
  ['::', '0:0:0:00'],
])('the network of %s is %s', (clientIp, network) => {
  expect(networkOf(clientIp)).toBe(network)
})
