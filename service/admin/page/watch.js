// @ts-check
/** Asks one question at a time, again and again, and none while nobody looks. */

const PERIOD_MS = 2000

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
      if (document.hidden) await new Promise((resolve) => (wake = () => resolve(undefined)))
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
        const timer = setTimeout(resolve, PERIOD_MS)
        wake = () => {
          clearTimeout(timer)
          resolve(undefined)
        }
      })
    }
  }

  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) wake()
  })
  void watch()

  const askNow = () => {
    asking.abort()
    wake()
  }
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
