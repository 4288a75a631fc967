const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/**
 * Reads a duration in nginx's notation (https://nginx.org/en/docs/syntax.html): `500ms`, `3s`, `10m`, `1h`,
 * `1d`, `1h30m`; a number without a unit is seconds.
 *
 * @returns milliseconds, or undefined when the text is not a duration
 */
export function parseDuration(text: string): number | undefined {
  if (/^\d+$/.test(text)) return Number(text) * UNIT_MS.s
  if (!/^(\d+(ms|[smhd]))+$/.test(text)) return undefined
  let total = 0
  for (const [, count, unit] of text.matchAll(/(\d+)(ms|[smhd])/g)) {
    total += Number(count) * UNIT_MS[unit as keyof typeof UNIT_MS]
  }
  return total
}

/** Writes milliseconds the way {@link parseDuration} reads them, in the largest unit that fits. */
export function formatDuration(ms: number): string {
  for (const unit of ['d', 'h', 'm', 's'] as const) {
    if (ms >= UNIT_MS[unit] && ms % UNIT_MS[unit] === 0) return `${ms / UNIT_MS[unit]}${unit}`
  }
  return `${ms}ms`
}
