// @ts-check
/** Asks one question at a time, again and again, and seldom while nobody looks. */

const PERIOD_MS = 2000
const HIDDEN_PERIOD_MS = 30_000

/**
 * @param {object} options
 * @param {(signal: AbortSignal) => Promise<void>} options.refresh asks, and shows what is answered
 * @param {() => void} options.onAnswer
 * @param {(error: unknown) => void} options.onFailure
 */
export function startWatch({ refresh, onAnswer, onFailure }) {
  let asking = new AbortController()
  let wake = () => {}
  /** @type {(() => Promise<void>)[]} */
  const errands = []

  async function watch() {
    for (;;) {
      for (let errand; (errand = errands.shift());) await errand()
      asking = new AbortController()
      const { signal } = asking
      try {
        await refresh(signal)
        onAnswer()
      } catch (error) {
        if (!signal.aborted) onFailure(error)
      }
      if (signal.aborted) continue
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, document.hidden ? HIDDEN_PERIOD_MS : PERIOD_MS)
        wake = () => {
          clearTimeout(timer)
          resolve(undefined)
        }
      })
    }
  }

  const askNow = () => {
    asking.abort()
    wake()
  }
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) askNow()
  })
  void watch()

  return {
    /** Drops a question that is under way, as its answer is no longer wanted, and asks anew. */
    askNow,

    /**
     * Has something else asked before the next question.
     *
     * @param {() => Promise<void>} errand never fails
     */
    first(errand) {
      errands.push(errand)
      askNow()
    },
  }
}
