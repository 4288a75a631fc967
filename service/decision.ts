/** Why a backend gave no decision; `breaker`: it was not asked, being down. */
export type Failure =
  'breaker' | 'refused' | 'reset' | 'dns' | 'tls' | 'timeout' | 'malformed' | 'status' | 'error'

/** What a backend answered. `status` is the HTTP status that it sent, where one came. */
export type Answer =
  | {
      readonly outcome: 'allow'
      readonly status: number
      /** Header bytes, made safe; empty for none. */
      readonly name: string
      /** How long the backend wants its word to hold; undefined when it did not say. */
      readonly authDurationMs: number | undefined
    }
  | { readonly outcome: 'deny'; readonly status: number }
  | { readonly outcome: 'unavailable'; readonly failure: Failure; readonly status: number | undefined }

/** The statuses that `auth_request` passes on to the viewer. */
export type Refusal = 401 | 403

/** How long nginx may repeat an answer by itself. */
export interface EdgeLife {
  /** Milliseconds in all, those in which an admission is renewed among them; below a second it is not repeated at all. */
  readonly freshMs: number
  /** Whether it stands beyond that while the service is out of reach, and, an admission, may be stale while it is renewed. */
  readonly isStaleAllowed: boolean
}

/** What nginx is told. */
export type Decision =
  | {
      readonly allowed: true
      readonly source: (Verdict & { allow: true })['source'] | 'remembered'
      readonly sessionId: string
      readonly sessionName: string
      readonly channelId: string
      readonly edge: EdgeLife
    }
  | {
      readonly allowed: false
      readonly source: (Verdict & { allow: false })['source'] | 'remembered' | UnaskedSource
      readonly refusal: Refusal
      /** undefined where the path belongs to no channel */
      readonly channelId: string | undefined
      readonly edge: EdgeLife
    }

/**
 * Why somebody is refused about whom nobody is asked: the path is no channel's or not in normal form, too many ask from
 * his address, an operator has blocked him, the request is not our nginx's, or there is a bug.
 */
type UnaskedSource = 'path' | 'crowd' | 'blocked' | 'foreign' | 'error'

/** What an operator wants for viewers of whom nothing is known while the backend gives no decision. */
export type WhenBackendDown = 'allow' | 'deny'

/** What is known about a viewer already; `undecided`: let in while the backend was down, without its word. */
export type Known = 'allow' | 'undecided' | Refusal | undefined

/** An answer, and whose fault it is where it is no decision: that of a backend that is down, or the question's own. */
export type JudgedAnswer =
  | Exclude<Answer, { outcome: 'unavailable' }>
  | (Extract<Answer, { outcome: 'unavailable' }> & { readonly isBackendDown: boolean })

/** What to do with an answer. */
export type Verdict =
  | { readonly allow: true; readonly source: 'backend' | 'kept' | 'open-door' }
  | {
      readonly allow: false
      readonly source: 'backend' | 'kept' | 'single-failure' | 'closed-door'
      readonly refusal: Refusal
    }

/** What kept a backend from a decision, as the log says it: its status where it sent one, else the failure. */
export function shownFailure({ failure, status }: Answer & { outcome: 'unavailable' }): Failure | number {
  return status ?? failure
}

/**
 * The rule of three outcomes. A backend's word counts; where it gave none, its last word stands; where there
 * is none, the operator's setting decides, if the backend is down. A known refusal never turns into an admission here, and
 * neither does a failure of one question while the backend answers others.
 */
export function judge(answer: JudgedAnswer, known: Known, whenBackendDown: WhenBackendDown): Verdict {
  if (answer.outcome === 'allow') return { allow: true, source: 'backend' }
  if (answer.outcome === 'deny')
    return { allow: false, source: 'backend', refusal: refusalFor(answer.status) }
  if (known === 'allow') return { allow: true, source: 'kept' }
  if (known === 401 || known === 403) return { allow: false, source: 'kept', refusal: known }
  if (!answer.isBackendDown) return { allow: false, source: 'single-failure', refusal: 403 }
  if (known === 'undecided') return { allow: true, source: 'kept' }
  if (whenBackendDown === 'allow') return { allow: true, source: 'open-door' }
  return { allow: false, source: 'closed-door', refusal: 403 }
}

/**
 * Whether a refusal is about how one request is written, not about its viewer: 400 and 414 (RFC 9110), 431 (RFC 6585).
 * A path or a query that a backend cannot read must not close the channel for the same viewer's other requests.
 */
export function isAboutRequest(answer: Answer): boolean {
  return answer.outcome === 'deny' && [400, 414, 431].includes(answer.status)
}

/** A backend's 401 stays 401, every other refusal is 403: `auth_request` passes on only these two. */
function refusalFor(status: number): Refusal {
  return status === 401 ? 401 : 403
}
