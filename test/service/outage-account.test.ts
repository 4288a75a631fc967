import { pino } from 'pino'
import { describe, expect, it } from 'vitest'
import { OutageAccount } from '../../service/outage-account.js'
import type { Verdict } from '../../service/decision.js'

const ADMITTED: Verdict = { allow: true, source: 'open-door' }
const CONFIRMED: Verdict = { allow: true, source: 'backend' }
const CLOSED: Verdict = { allow: false, source: 'backend', refusal: 403 }

function start() {
  const lines: Record<string, unknown>[] = []
  const log = pino(
    { base: null, timestamp: false },
    { write: (line) => lines.push(JSON.parse(line) as never) },
  )
  const clock = { nowMs: 0 }
  return { lines, clock, account: new OutageAccount({ log, now: () => clock.nowMs }) }
}

describe('the account of an outage', () => {
  it('tells when it began, how long it took, and what became of those who came in', () => {
    const { lines, clock, account } = start()
    account.onOutage()
    for (let viewer = 0; viewer < 3; viewer++) account.onDecision({ verdict: ADMITTED, wasUndecided: false })
    clock.nowMs = 42_000
    account.onDecision({ verdict: CONFIRMED, wasUndecided: true })
    account.end()
    account.onDecision({ verdict: CONFIRMED, wasUndecided: false })
    account.onDecision({ verdict: CONFIRMED, wasUndecided: true })
    expect(lines).toHaveLength(2)
    account.onDecision({ verdict: CLOSED, wasUndecided: true })
    expect(lines).toMatchObject([
      { level: 50 },
      { level: 40, seconds: 42, admitted: 3 },
      { level: 40, admitted: 3, confirmed: 2, closed: 1, unchecked: 0 },
    ])
  })

  it('is closed after a minute, with those whom nobody has asked about', () => {
    const { lines, clock, account } = start()
    account.onOutage()
    account.onDecision({ verdict: ADMITTED, wasUndecided: false })
    account.end()
    clock.nowMs = 60_000
    account.tick()
    expect(lines).toHaveLength(2)
    clock.nowMs = 60_001
    account.tick()
    account.tick()
    expect(lines).toHaveLength(3)
    expect(lines[2]).toMatchObject({ unchecked: 1 })
  })
})
