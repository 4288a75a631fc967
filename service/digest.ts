import { createHash } from 'node:crypto'

export const DIGEST_BYTES = 16

/** Stands for a key of any length, of which viewers choose a part. No two keys with the same one will be found. */
export function digestOf(key: string): Buffer {
  return createHash('sha256').update(key, 'utf8').digest().subarray(0, DIGEST_BYTES)
}
