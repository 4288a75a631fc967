import { describe, expect, it } from 'vitest'
import { verdictOf, type Cause, type OwnAnswer } from '../../../../service/backends/guard/verdict.js'

const refused = { cause: 'refused' } as const
const broken = { cause: 500 } as const
const slow = { cause: 'slow' } as const
const trouble = (cause: Cause, rounds = 1, isBareBlind = false) => ({
  kind: 'trouble',
  cause,
  rounds,
  isBareBlind,
  isUnmistakable: cause === 'refused',
})
const UNKNOWN = { kind: 'unknown' }
const up = (isByWitness: boolean) => ({ kind: 'up', isByWitness })

describe('what the own questions say', () => {
  it.each<[bare: OwnAnswer, witnesses: OwnAnswer[], verdict: object]>([
    ['decided', [], up(false)],
    ['decided', ['decided'], up(true)],
    // One admitted viewer about whom a decision comes is enough, whatever else fails.
    [refused, ['decided'], up(true)],
    [broken, [broken, broken, 'decided'], up(true)],
    [slow, ['decided'], up(true)],
    // Nobody else to ask.
    [refused, [], trouble('refused')],
    [broken, [], trouble(500)],
    [refused, [refused], trouble('refused')],
    [refused, [broken], { ...trouble('refused'), isUnmistakable: false }],
    [broken, [slow, broken], trouble('slow', 3)],
    [slow, [], trouble('slow', 3)],
    // It needs its database for tokens only.
    ['decided', [broken], up(false)],
    ['decided', [broken, broken], trouble(500, 2, true)],
    ['decided', [broken, broken, broken], trouble(500, 2, true)],
    ['decided', [slow, broken], trouble('slow', 3, true)],
  ])('%j and %j: %j', (bare, witnesses, verdict) => {
    expect(verdictOf(bare, witnesses, () => true)).toEqual(verdict)
  })

  it.each<[bare: OwnAnswer, witnesses: OwnAnswer[], verdict: object]>([
    [broken, [], UNKNOWN],
    [broken, ['decided'], up(true)],
    // His own network may be the cause of one.
    [broken, [refused], UNKNOWN],
    [broken, [refused, refused], trouble('refused')],
    [slow, [refused], UNKNOWN],
    ['decided', [], up(false)],
  ])('where the bare address fails although all is well, %j and %j: %j', (bare, witnesses, verdict) => {
    expect(verdictOf(bare, witnesses, () => false)).toEqual(verdict)
  })
})
