import { pino } from 'pino'
import { describe, expect, it } from 'vitest'
import { Recent } from '../../../service/admin/recent.js'
import { statusOf } from '../../../service/admin/status.js'
import type { Cause } from '../../../service/backends/guard/verdict.js'
import { OutageAccount } from '../../../service/outage-account.js'
import type { DecisionEvent } from '../../../service/questions.js'

const DENIED: DecisionEvent['answer'] = { outcome: 'deny', status: 403 }
const TIMED_OUT: DecisionEvent['answer'] = { outcome: 'unavailable', failure: 'timeout', status: undefined }
const NOT_ASKED: DecisionEvent['answer'] = { outcome: 'unavailable', failure: 'breaker', status: undefined }

const CENSUS = {
  sessions: { open: 0, watching: 0, backend: 0, remembered: 0, 'open-door': 0 },
  channels: [],
}

function start() {
  const log = pino({ level: 'silent' })
  const account = new OutageAccount({ log, whenBackendDown: 'allow', now: () => 0 })
  const recent = new Recent(() => 0)
  let never: Cause | undefined
  const config = {
    backendType: 'http',
    backendUrl: new URL('http://portal.example.com/'),
    whenBackendDown: 'allow',
  } as const
  const options = {
    version: '',
    config,
    startedAtMs: 0,
    account,
    recent,
    questionsInFlight: () => 0,
    neverAnswered: () => never,
  }
  return {
    account,
    neverAnswer: (cause: Cause) => (never = cause),
    answer: (answer: DecisionEvent['answer'], elapsedMs: number) =>
      recent.onDecision({ answer, elapsedMs } as DecisionEvent),
    status: () => statusOf(options, CENSUS, { nowMs: 42_000, wallMs: 1e12 }),
  }
}

describe('the status', () => {
  it('calls a backend well, failing or down by its last answers, and tells the latency of answers alone', () => {
    const { account, answer, status } = start()
    expect(status()).toMatchObject({ backend: { state: 'unknown', failures: 0 } })
    answer(TIMED_OUT, 1_001)
    expect(status()).toMatchObject({ backend: { state: 'failing', failures: 1, latency: [null] } })
    answer(DENIED, 20)
    expect(status()).toMatchObject({ backend: { state: 'up', failures: 0, latency: [20] } })
    for (let count = 0; count < 12; count++) answer(TIMED_OUT, 1_001)
    answer(NOT_ASKED, 0)
    expect(status()).toMatchObject({
      backend: { state: 'failing', failures: 12, latency: [20] },
      outage: null,
    })
    account.onOutage('timeout')
    expect(status()).toMatchObject({ backend: { state: 'down' } })
    account.end()
    answer(DENIED, 20)
    expect(status()).toMatchObject({ backend: { state: 'up', failures: 0 }, outage: null })
  })

  it('tells why a backend has never answered', () => {
    const { neverAnswer, status } = start()
    expect(status()).toMatchObject({ backend: { never_answered: null } })
    neverAnswer('refused')
    expect(status()).toMatchObject({ backend: { never_answered: 'refused' } })
  })

  it.for(['slow', 'refused', 503])('tells the cause of an outage as the log does: %s', (cause) => {
    const { account, status } = start()
    account.onOutage(cause)
    expect(status()).toMatchObject({ outage: { backend: cause, seconds: 42, admitted: 0 } })
  })
})
