// What V8's garbage collector did in the isolates of a gateway: each collection with its thread and
// its time on the monotonic clock.
//
// The source is --trace-gc, which names an isolate by its address and tells when a collection ended
// in whole ms since the isolate was made. support/thread-mark.ts, loaded first in each thread of the
// gateway, ties the two: it collects its young objects once, and once more for each number of its
// thread, and writes when the last of these had ended. So the count of what the trace calls
// `testing` names the thread, and the last of them sets its clock.

/** Rounding of the trace, and what passes between the end of a collection and the mark. */
const clockErrorMs = 2

/** What a thread of a gateway wrote of itself. */
export interface ThreadMark {
  readonly kind: 'thread'
  readonly number: number
  readonly name: string
  /** Monotonic, right behind its last forced collection. */
  readonly collectedMs: number
}

export interface Collection {
  readonly thread: string
  /** As the trace calls it: Scavenge, Mark-Compact. */
  readonly kind: string
  /** Monotonic. */
  readonly endMs: number
  readonly pauseMs: number
  readonly marking: Marking
  readonly heapMib: number
}

/** The steps of marking that went before a Mark-Compact, spread over some time. */
interface Marking {
  readonly wallMs: number
  readonly stepsMs: number
  readonly longestStepMs: number
}

/** What a gateway wrote: --trace-gc to standard output, marks to standard error. */
export interface Trace {
  readonly output: string
  readonly errors: string
}

export interface Collections {
  /** By their ends. */
  readonly collections: readonly Collection[]
  /** Every thread that has been told apart. */
  readonly threads: readonly string[]
  /** Collections of isolates that no mark explains. */
  readonly unplaced: number
}

/** What a thread's collections come to. */
export interface ThreadPauses {
  readonly thread: string
  readonly scavenges: number
  readonly markCompacts: number
  readonly longestMs: number
  /** With the steps of marking. */
  readonly totalMs: number
  /** Used, after the last; null when there was none. */
  readonly heapMib: number | null
}

interface TraceLine extends Omit<Collection, 'thread' | 'endMs'> {
  readonly isolate: string
  /** Since the isolate was made. */
  readonly atMs: number
  readonly isForced: boolean
}

const noMarking: Marking = { wallMs: 0, stepsMs: 0, longestStepMs: 0 }
const lineForm =
  /^\[\d+:(0x[0-9a-f]+)\] +(\d+) ms: ([A-Z].*?) [\d.]+ \([\d.]+\) -> ([\d.]+) \([\d.]+\) MB, .*?([\d.]+) \/ [\d.]+ ms (.*)$/gm
const markingForm =
  /\(\+ ([\d.]+) ms in \d+ steps since start of marking, biggest step ([\d.]+) ms, walltime since start of marking ([\d.]+) ms\)/

/** The collections that ended between two instants of the monotonic clock. */
export function parseCollections(
  { output, errors }: Trace,
  fromMs: number,
  untilMs: number,
): Collections {
  const lines = parseTrace(output)
  const marks = parseMarks(errors)
  const threads: string[] = []
  const collections: Collection[] = []
  let unplaced = 0
  for (const ofIsolate of Map.groupBy(lines, line => line.isolate).values()) {
    const forced = ofIsolate.filter(({ isForced }) => isForced)
    const mark = marks.find(({ number }) => number + 1 === forced.length)
    if (mark === undefined) {
      unplaced += ofIsolate.length
      continue
    }
    threads.push(mark.name)
    const madeMs = mark.collectedMs - forced[forced.length - 1].atMs
    for (const { kind, atMs, pauseMs, marking, heapMib } of ofIsolate) {
      const endMs = madeMs + atMs
      if (endMs < fromMs || endMs > untilMs) continue
      collections.push({ thread: mark.name, kind, endMs, pauseMs, marking, heapMib })
    }
  }
  collections.sort((x, y) => x.endMs - y.endMs)
  return { collections, threads: threads.sort(), unplaced }
}

export function summarizePauses({ collections, threads }: Collections): ThreadPauses[] {
  return threads.map(thread => {
    const own = collections.filter(collection => collection.thread === thread)
    const scavenges = own.filter(({ kind }) => kind.startsWith('Scavenge')).length
    const pauses = own.flatMap(({ pauseMs, marking }) => [pauseMs, marking.longestStepMs])
    return {
      thread,
      scavenges,
      markCompacts: own.length - scavenges,
      longestMs: Math.max(0, ...pauses),
      totalMs: own.reduce((sum, { pauseMs, marking }) => sum + pauseMs + marking.stepsMs, 0),
      heapMib: own.at(-1)?.heapMib ?? null,
    }
  })
}

/** How long collections of these threads can have held them between two instants: the thread's that was held longest. */
export function pausedBetween(
  collections: readonly Collection[],
  fromMs: number,
  untilMs: number,
): { readonly thread: string; readonly pausedMs: number } | null {
  const sums = new Map<string, number>()
  const meets = (endMs: number, lengthMs: number) =>
    endMs - lengthMs <= untilMs + clockErrorMs && endMs >= fromMs - clockErrorMs
  for (const { thread, endMs, pauseMs, marking } of collections) {
    const pause = meets(endMs, pauseMs) ? pauseMs : 0
    // Where in the marking its steps were is not told: the longest may have been here.
    const step = meets(endMs, marking.wallMs) ? marking.longestStepMs : 0
    if (pause + step > 0) sums.set(thread, (sums.get(thread) ?? 0) + pause + step)
  }
  const [longest] = [...sums].sort(([, x], [, y]) => y - x)
  return longest === undefined ? null : { thread: longest[0], pausedMs: longest[1] }
}

function parseTrace(output: string): TraceLine[] {
  return [...output.matchAll(lineForm)].map(
    ([, isolate, atMs, kind, heapMib, pauseMs, rest]): TraceLine => ({
      isolate,
      atMs: Number(atMs),
      kind,
      heapMib: Number(heapMib),
      pauseMs: Number(pauseMs),
      marking: parseMarking(rest),
      isForced: kind === 'Scavenge' && / testing;/.test(rest),
    }),
  )
}

function parseMarking(rest: string): Marking {
  const match = markingForm.exec(rest)
  if (match === null) return noMarking
  const [stepsMs, longestStepMs, wallMs] = match.slice(1).map(Number)
  return { wallMs, stepsMs, longestStepMs }
}

function parseMarks(errors: string): ThreadMark[] {
  return errors
    .split('\n')
    .filter(line => line.startsWith('{"kind":"thread"'))
    .map(line => JSON.parse(line) as ThreadMark)
}
