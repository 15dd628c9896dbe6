// What the outbound workers have published about their sends, put together over all pairs: packets of
// one cable may leave by any of them.

import type { SentInstants } from '../crypto/protocol.ts'
import { INSTANT, type SharedMemory } from '../tables/shared.ts'

export function sentInstants({ sent, instants }: SharedMemory): SentInstants {
  const latest = (word: number) => {
    let found = 0
    for (const block of sent) found = Math.max(found, block[word])
    return found
  }
  return {
    sentMs: cable => latest(cable * INSTANT.WORDS + INSTANT.SENT),
    dataSentMs: cable => latest(cable * INSTANT.WORDS + INSTANT.DATA_SENT),
    // The earliest that is not answered yet; what is older than the last answer says nothing.
    unansweredMs(cable) {
      const at = cable * INSTANT.WORDS
      const receivedMs = instants[at + INSTANT.RECEIVED]
      let earliest = 0
      for (const block of sent) {
        const ms = block[at + INSTANT.UNANSWERED]
        if (earliest === 0 || (ms > receivedMs && (earliest <= receivedMs || ms < earliest)))
          earliest = ms
      }
      return earliest
    },
  }
}
