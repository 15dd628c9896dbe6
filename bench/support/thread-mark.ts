// Loaded before all else in each thread of a gateway whose collections are traced (--expose-gc,
// --trace-gc): says which isolate of the trace is this thread's, and when (collections.ts).

import { writeSync } from 'node:fs'
import { threadId, threadName } from 'node:worker_threads'
import { systemClock } from '../../src/net/clock.ts'
import type { ThreadMark } from '../collections.ts'

const standardError = 2

for (let turn = 0; turn <= threadId; turn++) globalThis.gc?.({ type: 'minor' })
const mark: ThreadMark = {
  kind: 'thread',
  number: threadId,
  name: threadName === null || threadName === '' ? 'main' : threadName,
  collectedMs: systemClock.monotonicMs(),
}
writeSync(standardError, `${JSON.stringify(mark)}\n`)
