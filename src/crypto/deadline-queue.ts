// Which tunnel is due next, or which cable's ARP: a binary heap ordered by the instant for which each
// was entered. An instant may be too early (a timer that was cancelled stays entered until it comes up,
// then the tunnel is asked again), never too late. So the many events that only move a deadline back cost
// nothing here, and the earliest deadline of all peers is one read.

export interface Scheduled {
  /** For when it is entered; Infinity when it is not. */
  scheduledMs: number
  /** Its place in the heap, -1 when it is not entered. */
  heapIndex: number
}

export class DeadlineQueue<T extends Scheduled> {
  readonly #heap: T[] = []

  get first(): T | undefined {
    return this.#heap[0]
  }

  get firstMs(): number {
    return this.#heap.length === 0 ? Number.POSITIVE_INFINITY : this.#heap[0].scheduledMs
  }

  /** Enters an item, or moves it forward; an instant later than its own is ignored. */
  advance(item: T, atMs: number): void {
    if (atMs < item.scheduledMs) this.place(item, atMs)
  }

  /** Enters or moves an item to exactly this instant; Infinity takes it out. */
  place(item: T, atMs: number): void {
    if (atMs === Number.POSITIVE_INFINITY) {
      this.remove(item)
      return
    }
    item.scheduledMs = atMs
    if (item.heapIndex < 0) {
      item.heapIndex = this.#heap.length
      this.#heap.push(item)
    }
    this.#up(item.heapIndex)
    this.#down(item.heapIndex)
  }

  remove(item: T): void {
    item.scheduledMs = Number.POSITIVE_INFINITY
    const hole = item.heapIndex
    if (hole < 0) return
    item.heapIndex = -1
    const last = this.#heap.pop()
    if (last === undefined || last === item) return
    this.#set(hole, last)
    this.#up(hole)
    this.#down(last.heapIndex)
  }

  #up(index: number): void {
    const heap = this.#heap
    const item = heap[index]
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (heap[parent].scheduledMs <= item.scheduledMs) break
      this.#set(index, heap[parent])
      index = parent
    }
    this.#set(index, item)
  }

  #down(index: number): void {
    const heap = this.#heap
    const item = heap[index]
    for (;;) {
      let child = index * 2 + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && heap[child + 1].scheduledMs < heap[child].scheduledMs) child++
      if (heap[child].scheduledMs >= item.scheduledMs) break
      this.#set(index, heap[child])
      index = child
    }
    this.#set(index, item)
  }

  #set(index: number, item: T): void {
    this.#heap[index] = item
    item.heapIndex = index
  }
}
