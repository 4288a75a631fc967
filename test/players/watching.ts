import { QUERY_IN_PLAYLISTS } from '../nginx/options.js'
import type { Stack, StackOptions } from '../nginx/stack.js'

/** The two ways in which segments without a token are admitted, both on Ministra's tokens, which live 5 s. */
export const WAYS: readonly (readonly [name: string, options: StackOptions])[] = [
  ['requests without a token belong to their viewer', { type: 'ministra' }],
  [
    'nginx writes the query into playlists',
    { type: 'ministra', env: { TOKENLESS_REQUESTS: 'backend' }, changes: QUERY_IN_PLAYLISTS },
  ],
]

/** What nginx logged about /play/: how many requests of each status. */
export async function statusesOf(stack: Stack): Promise<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const line of await stack.nginx.accessLog()) {
    const status = /\] (\d+) "\w+ \/play\//.exec(line)?.[1]
    if (status !== undefined) counts[status] = (counts[status] ?? 0) + 1
  }
  return counts
}
