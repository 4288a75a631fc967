import { describe, expect, it } from 'vitest'
import { fuzz } from './fuzz.js'

describe('a viewer who asks for anything', () => {
  it('gets only his own, and all of it', async () => {
    const { holes, ownServed } = await fuzz({ count: 4_000, seed: 1 })
    expect(holes).toEqual([])
    expect(ownServed).toBeGreaterThan(20)
  })

  it.each([
    [
      "nginx's memory forgets the folder",
      'hls-auth/location.conf',
      '"$remote_addr $host $hls_folder $hls_query $http_user_agent"',
      '"$remote_addr $host $hls_query $http_user_agent"',
    ],
    [
      'nginx remembers what is not plain',
      'hls-auth/location.conf',
      'proxy_cache $hls_memory;',
      'proxy_cache hls_auth;',
    ],
    [
      'the service is asked about a part of the path',
      'hls-auth/location.conf',
      'X-Original-URI $request_uri;',
      'X-Original-URI /play/a001$hls_folder;',
    ],
  ])('is seen to get more where %s', async (_, file, from, to) => {
    // Found within some thousands as a rule; what nginx remembers depends on how requests happen to follow each other.
    const { holes } = await fuzz({ count: 200_000, seed: 1, changes: [[file, from, to]] })
    expect(holes.join('\n')).toContain('served what belongs to another channel')
  })
})
