/** Random choices that come again with the same seed (mulberry32, public domain). */
export interface Random {
  /** From 0 to below `end`. */
  below(end: number): number
  /** True once in `times`. */
  once(times: number): boolean
  of<T>(choices: readonly T[]): T
}

export function randomFrom(seed: number): Random {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (end: number) => Math.floor(next() * end)
  return { below, once: (times) => below(times) === 0, of: (choices) => choices[below(choices.length)]! }
}
