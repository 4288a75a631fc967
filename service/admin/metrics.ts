import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { DecisionEvent } from '../questions.js'
import type { Decision, Failure } from '../decision.js'
import type { Observer } from '../observer.js'
import type { CloseReason } from '../session-store.js'

/** Why a backend gave no decision, but for `breaker`: then it was not asked. */
const FAILURES: readonly Failure[] = [
  'refused',
  'reset',
  'dns',
  'tls',
  'timeout',
  'malformed',
  'status',
  'error',
]
const CLOSE_REASONS: readonly CloseReason[] = ['idle', 'full', 'replaced', 'refused', 'operator', 'moved']

function noneOf(sources: readonly Decision['source'][]): Record<string, number> {
  return Object.fromEntries(sources.map((source) => [source, 0]))
}

/** What is read when somebody asks for the metrics. */
export interface Gauges {
  readonly sessions: () => number
  readonly questionsInFlight: () => number
  readonly isBreakerOpen: () => boolean
}

/**
 * Metrics in Prometheus' conventions (https://prometheus.io/docs/practices/naming/). No label's values come from a
 * viewer: however many there are, the number of series stays.
 */
export class Metrics implements Observer {
  readonly #registry = new Registry()
  // Counted in an object and handed to prom-client when somebody asks: each request passes here.
  // Every series is there from the start: Prometheus does not see the first step of one that appears with it.
  readonly #replies = {
    allow: noneOf(['remembered', 'backend', 'kept', 'open-door']),
    deny: noneOf([
      'remembered',
      'backend',
      'kept',
      'closed-door',
      'single-failure',
      'path',
      'crowd',
      'blocked',
      'foreign',
      'error',
    ]),
  }
  readonly #latency: Histogram<'outcome'>
  readonly #errors: Counter<'kind'>
  readonly #opened: Counter
  readonly #closed: Counter<'reason'>
  readonly #outages: Counter
  readonly #openDoor: Counter

  constructor(version: string, gauges: Gauges) {
    const registers = [this.#registry]
    const replies = this.#replies
    const decisions = new Counter({
      name: 'hls_auth_decisions_total',
      help: 'Answers to nginx.',
      labelNames: ['outcome', 'source'],
      registers,
      collect() {
        decisions.reset()
        for (const outcome of ['allow', 'deny'] as const)
          for (const [source, count] of Object.entries(replies[outcome]))
            decisions.inc({ outcome, source }, count)
      },
    })
    this.#latency = new Histogram({
      name: 'hls_auth_backend_request_duration_seconds',
      help: 'How long the backend took to answer, the wait for a free connection included.',
      labelNames: ['outcome'],
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
      registers,
    })
    const counter = <Label extends string>(name: string, help: string, labelNames: Label[] = []) =>
      new Counter({ name: `hls_auth_${name}`, help, labelNames, registers })
    this.#errors = counter('backend_errors_total', 'Questions to which the backend gave no decision.', [
      'kind',
    ])
    this.#opened = counter('sessions_opened_total', 'Sessions opened.')
    this.#closed = counter('sessions_closed_total', 'Sessions closed.', ['reason'])
    this.#outages = counter('outages_total', 'Outages of the backend.')
    this.#openDoor = counter('open_door_admissions_total', 'Viewers admitted without a decision.')
    for (const outcome of ['allow', 'deny', 'unavailable']) this.#latency.zero({ outcome })
    for (const kind of FAILURES) this.#errors.inc({ kind }, 0)
    for (const reason of CLOSE_REASONS) this.#closed.inc({ reason }, 0)
    const gauge = (name: string, help: string, read: () => number) =>
      new Gauge({
        name: `hls_auth_${name}`,
        help,
        registers,
        collect() {
          this.set(read())
        },
      })
    gauge('sessions', 'Sessions open.', gauges.sessions)
    gauge('backend_requests_in_flight', 'Questions that wait for the backend.', gauges.questionsInFlight)
    gauge('breaker_open', '1 while the backend counts as down.', () => Number(gauges.isBreakerOpen()))
    new Gauge({
      name: 'hls_auth_build_info',
      help: 'The running version.',
      labelNames: ['version'],
      registers,
    }).set({ version }, 1)
    collectDefaultMetrics({ register: this.#registry })
  }

  onReply({ allowed, source }: Decision): void {
    const counts = this.#replies[allowed ? 'allow' : 'deny']
    counts[source] = counts[source]! + 1
  }

  onDecision({ answer, verdict, elapsedMs }: DecisionEvent): void {
    if (verdict.source === 'open-door') this.#openDoor.inc()
    if (answer.outcome === 'unavailable') {
      if (answer.failure === 'breaker') return
      this.#errors.inc({ kind: answer.failure })
    }
    this.#latency.observe({ outcome: answer.outcome }, elapsedMs / 1_000)
  }

  onOpened(): void {
    this.#opened.inc()
  }

  onClosed(_: unknown, reason: CloseReason): void {
    this.#closed.inc({ reason })
  }

  onOutage(): void {
    this.#outages.inc()
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  /** All of them in Prometheus' text format. */
  text(): Promise<string> {
    return this.#registry.metrics()
  }
}
