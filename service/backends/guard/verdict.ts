import type { Failure } from '../../decision.js'

/** What kept a backend from a decision in time: a failure, a status, or that it was `slow`. */
export type Cause = Failure | 'slow' | number

/** What came of one of the service's own questions: a decision in time, or not. */
export type OwnAnswer = 'decided' | { readonly cause: Cause }

/** What the own questions of one round say: that it is up, nothing, or that it is in trouble. */
export type Verdict =
  | {
      readonly kind: 'up'
      /** Not the bare address alone has said so. */
      readonly isByWitness: boolean
    }
  | { readonly kind: 'unknown' }
  | {
      readonly kind: 'trouble'
      readonly cause: Cause
      /** So many rounds in a row have to find trouble, this one included, for the backend to count as down. */
      readonly rounds: number
      /** Too many questions cannot bring it about: nobody was there to read them. */
      readonly isUnmistakable: boolean
      /** The bare address was answered in time all the same: by that it is not seen to be up again. */
      readonly isBareBlind: boolean
    }

/** What is the same however much is asked. */
const UNMISTAKABLE: readonly Cause[] = ['refused', 'tls']

/** What is slow may have been so by chance. */
const SLOW_ROUNDS = 3

/** All admitted viewers fail, and the bare address does not: a script that needs its database only for a token. */
const BLIND_ROUNDS = 2

/** One witness alone proves nothing without the bare address: its viewer may be the cause. */
const ENOUGH = 2

/**
 * The rule of evidence. Any admitted viewer about whom a decision comes in time shows that the backend is up; else the
 * bare address tells, or several witnesses do where it is not.
 *
 * @param isTelling whether such a failure of the bare address says anything; by what it answers while all is well
 */
export function verdictOf(
  bare: OwnAnswer,
  witnesses: readonly OwnAnswer[],
  isTelling: (cause: Cause) => boolean,
): Verdict {
  if (witnesses.includes('decided')) return { kind: 'up', isByWitness: true }
  const isEnough = witnesses.length >= ENOUGH
  const failures = witnesses.filter((answer) => answer !== 'decided')
  if (bare !== 'decided' && isTelling(bare.cause)) failures.unshift(bare)
  else if (!isEnough) return bare === 'decided' ? { kind: 'up', isByWitness: false } : { kind: 'unknown' }
  const isSlow = failures.some(({ cause }) => cause === 'slow')
  const isBareBlind = bare === 'decided'
  return {
    kind: 'trouble',
    cause: isSlow ? 'slow' : failures[0]!.cause,
    rounds: isSlow ? SLOW_ROUNDS : isBareBlind ? BLIND_ROUNDS : 1,
    isUnmistakable: failures.every(({ cause }) => UNMISTAKABLE.includes(cause)),
    isBareBlind,
  }
}
