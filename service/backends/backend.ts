import type { Answer } from '../decision.js'

/** What a backend is asked about one session: the contents of Astra's six headers, and the query. */
export interface Question {
  readonly sessionId: string
  readonly channelId: string
  readonly clientIp: string
  /** Raw bytes, one character each, as are query and userAgent. */
  readonly path: string
  readonly query: string
  readonly userAgent: string
  readonly host: string
}

/** The operator's middleware, spoken to in its own dialect. */
export interface Backend {
  /** Names of the query's parameters that it judges; undefined for the whole query. */
  readonly credentialParams: readonly string[] | undefined
  /** How long its allow holds when it does not say, in milliseconds; Infinity for as long as the session. */
  readonly recheckMs: number
  /**
   * Asks once, within the exchange's deadline. Never rejects: what fails is an answer too.
   *
   * @param onReleased called once, when the backend has nothing more to do with the question: it works on after the
   *   deadline
   */
  ask(question: Question, onReleased?: () => void): Promise<Answer>
  /**
   * Asks about nobody: the address without a viewer's query, in the backend's dialect. Any decision shows that it is up.
   * Within the same deadline, and never rejects.
   */
  askBare(): Promise<Answer>
  /** Ends its connections. */
  close(): Promise<void>
}
