import dns from 'node:dns'

/*
 * Loaded into the service's process before it (`--import`), to move what belongs to the machine: the wall clock, which
 * the service takes from Date.now alone, and the resolver, which Node asks through dns.lookup.
 */

/** The backend's name; it leads to this machine as long as the resolver works. */
export const BACKEND_NAME = 'backend.invalid'

/** What the stage tells the shim. `dns`: the name is not there, or the resolver never answers. */
export interface ShimState {
  readonly clockMs: number
  readonly dns: 'works' | 'fails' | 'hangs'
}

let state = JSON.parse(process.env.CHAOS_SHIM ?? 'null') as ShimState | null
if (state !== null) {
  process.on('message', (message) => (state = message as ShimState))
  // The channel to the stage does not keep the service from ending.
  process.channel?.unref()

  const wallNow = Date.now
  Date.now = () => wallNow() + state!.clockMs

  const { lookup } = dns
  dns.lookup = ((name: string, options: dns.LookupAllOptions, done: LookupDone) => {
    if (name !== BACKEND_NAME) return lookup(name, options, done as never)
    if (state!.dns === 'hangs') return undefined
    const error = Object.assign(new Error(`getaddrinfo ENOTFOUND ${name}`), { code: 'ENOTFOUND' })
    setImmediate(() =>
      state!.dns === 'fails' ? done(error, []) : done(null, [{ address: '127.0.0.1', family: 4 }]),
    )
    return undefined
  }) as typeof dns.lookup
}

type LookupDone = (error: Error | null, addresses: dns.LookupAddress[]) => void
