import type { Cause } from './verdict.js'

/** How often in a row the bare address must fail, although viewers' questions are answered, to prove nothing by it. */
const TIMES = 3

/** Nobody was there to read the question, whatever stands in it. */
const UNMISTAKABLE: readonly unknown[] = ['refused', 'dns', 'tls'] satisfies Cause[]

/**
 * What a backend answers to its bare address while all is well. There are scripts that always fail without a viewer's
 * query: their failure says nothing, and the others' says that the backend is down.
 */
export class BareAnswers {
  /** Whether it has decided about anybody since the service was first started. */
  #hasAnswered = false
  /** Whether it has ever decided about the bare address. */
  #hasDecided = false
  /** Failures that it shows although it is well. */
  readonly #harmless = new Set<Cause>()
  #suspected: { readonly cause: Cause; atMs: number; times: number } | undefined
  readonly #onChange: (text: string) => void

  /**
   * @param text of the last time; undefined for the first start
   * @param onChange is given the text for the next time
   */
  constructor(text: string | undefined, onChange: (text: string) => void) {
    this.#onChange = onChange
    if (text === undefined) return
    this.#hasAnswered = true
    const [hasDecided = '', ...harmless] = text.split(' ')
    this.#hasDecided = hasDecided === 'decided'
    for (const cause of harmless) this.#harmless.add(/^\d+$/.test(cause) ? Number(cause) : (cause as Cause))
  }

  get hasAnswered(): boolean {
    return this.#hasAnswered
  }

  /** Whether such a failure of the bare address says that the backend is down. */
  isTelling(cause: Cause): boolean {
    if (this.#harmless.has(cause)) return false
    return this.#hasDecided || !this.#hasAnswered || UNMISTAKABLE.includes(cause)
  }

  /** The bare address was answered in time. */
  decided(): void {
    this.#suspected = undefined
    if (this.#hasAnswered && this.#hasDecided && this.#harmless.size === 0) return
    this.#hasAnswered = true
    this.#hasDecided = true
    this.#harmless.clear()
    this.#tell()
  }

  /** The bare address has failed. */
  failed(cause: Cause, askedAtMs: number): void {
    if (cause === 'slow') this.#answered()
    if (this.#harmless.has(cause)) return
    const times = this.#suspected?.cause === cause ? this.#suspected.times : 0
    this.#suspected = { cause, atMs: askedAtMs, times }
  }

  /** The backend has decided about somebody who was asked about at this time. */
  viewerDecided(askedAtMs: number): void {
    this.#answered()
    const suspected = this.#suspected
    if (suspected === undefined || askedAtMs < suspected.atMs) return
    // One failure counts once.
    suspected.atMs = Infinity
    suspected.times++
    if (suspected.times < TIMES) return
    this.#suspected = undefined
    this.#harmless.add(suspected.cause)
    this.#tell()
  }

  /** Whether it is known what it answers while all is well. */
  get isSettled(): boolean {
    return this.#suspected === undefined && (this.#hasDecided || this.#harmless.size > 0)
  }

  #answered(): void {
    if (this.#hasAnswered) return
    this.#hasAnswered = true
    this.#tell()
  }

  #tell(): void {
    this.#onChange([this.#hasDecided ? 'decided' : 'never', ...this.#harmless].join(' '))
  }
}
