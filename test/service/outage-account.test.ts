import { pino } from 'pino'
import { describe, expect, it } from 'vitest'
import { OutageAccount } from '../../service/outage-account.js'
import type { Verdict } from '../../service/decision.js'

const ADMITTED: Verdict = { allow: true, source: 'open-door' }
const CONFIRMED: Verdict = { allow: true, source: 'backend' }
const viewer = () => ({ id: '', name: '' })
const KEPT: Verdict = { allow: true, source: 'kept' }
const FAILED: Verdict = { allow: false, source: 'single-failure', refusal: 403 }
const CLOSED: Verdict = { allow: false, source: 'backend', refusal: 403 }

function start() {
  const lines: Record<string, unknown>[] = []
  const log = pino(
    { base: null, timestamp: false },
    { write: (line) => lines.push(JSON.parse(line) as never) },
  )
  const clock = { nowMs: 0 }
  return {
    lines,
    clock,
    account: new OutageAccount({ log, whenBackendDown: 'allow', now: () => clock.nowMs }),
  }
}

describe('the account of an outage', () => {
  it('tells when it began, how long it took, and what became of those who came in', () => {
    const { lines, clock, account } = start()
    account.onOutage('refused')
    const [first, second, third, fourth] = [viewer(), viewer(), viewer(), viewer()] as const
    account.onDecision({ session: first, verdict: ADMITTED, wasUndecided: false })
    account.onDecision({ session: second, verdict: ADMITTED, wasUndecided: false })
    account.onDecision({ session: second, verdict: KEPT, wasUndecided: true })
    account.onDecision({ session: third, verdict: ADMITTED, wasUndecided: false })
    account.onDecision({ session: fourth, verdict: ADMITTED, wasUndecided: false })
    // Who came in before a restart is in the account of the service that let him in.
    account.onDecision({ session: viewer(), verdict: CONFIRMED, wasUndecided: true })
    clock.nowMs = 42_000
    account.onDecision({ session: first, verdict: CONFIRMED, wasUndecided: true })
    account.end()
    account.onDecision({ session: viewer(), verdict: CONFIRMED, wasUndecided: false })
    account.onDecision({ session: third, verdict: CONFIRMED, wasUndecided: true })
    account.onDecision({ session: second, verdict: CLOSED, wasUndecided: true })
    expect(lines).toHaveLength(2)
    // The backend is back, and fails for him alone.
    account.onDecision({ session: fourth, verdict: FAILED, wasUndecided: true })
    expect(lines).toMatchObject([
      {
        level: 50,
        backend: 'refused',
        whenBackendDown: 'allow',
        msg: expect.stringMatching(/^outage began/) as unknown,
      },
      { level: 40, seconds: 42, admitted: 4, msg: expect.stringMatching(/^outage ended/) as unknown },
      { level: 40, admitted: 4, confirmed: 2, closed: 2, unchecked: 0 },
    ])
  })

  it('is closed after a minute, with those whom nobody has asked about', () => {
    const { lines, clock, account } = start()
    account.onOutage('refused')
    const late = viewer()
    account.onDecision({ session: late, verdict: ADMITTED, wasUndecided: false })
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

  it('is closed by the next one, and when the service ends', () => {
    const { lines, account } = start()
    for (const count of [1, 2]) {
      account.onOutage('refused')
      for (let number = 0; number < count; number++)
        account.onDecision({ session: viewer(), verdict: ADMITTED, wasUndecided: false })
      account.end()
    }
    account.settle()
    account.settle()
    const settled = lines.filter(({ msg }) => String(msg).startsWith('outage settled'))
    expect(settled).toMatchObject([
      { admitted: 1, unchecked: 1 },
      { admitted: 2, unchecked: 2 },
    ])
  })
})
