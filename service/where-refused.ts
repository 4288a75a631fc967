/**
 * What may be behind a connection that is refused, where the service runs in a container; empty for nothing to say.
 *
 * @param hostname of BACKEND_URL
 */
export function whereRefused(hostname: string): string {
  if (isLoopback(hostname))
    return 'Within a container this address is the container itself: the machine is host.docker.internal there.'
  if (hostname === 'host.docker.internal')
    return "A program that listens on 127.0.0.1 alone cannot be reached from a container: let it listen on 0.0.0.0, or on the address of Docker's bridge, and shut that port to others."
  return ''
}

/** Whether a URL's host is this machine, or this container. */
export function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname)
}
