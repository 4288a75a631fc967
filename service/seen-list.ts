/** What stands in a {@link SeenList}. */
export interface Seen<E> {
  seenBefore: E | undefined
  seenAfter: E | undefined
}

/** Entries in the order in which they were seen last. Everything takes constant time, and no memory but the entries'. */
export class SeenList<E extends Seen<E>> {
  #first: E | undefined
  #last: E | undefined

  /** The one seen longest ago. */
  get first(): E | undefined {
    return this.#first
  }

  append(entry: E): void {
    entry.seenBefore = this.#last
    entry.seenAfter = undefined
    if (this.#last) this.#last.seenAfter = entry
    else this.#first = entry
    this.#last = entry
  }

  remove({ seenBefore, seenAfter }: E): void {
    if (seenBefore) seenBefore.seenAfter = seenAfter
    else this.#first = seenAfter
    if (seenAfter) seenAfter.seenBefore = seenBefore
    else this.#last = seenBefore
  }

  /** One of the list is seen now. */
  renew(entry: E): void {
    if (entry === this.#last) return
    this.remove(entry)
    this.append(entry)
  }
}
