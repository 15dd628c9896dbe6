// Waits for a condition instead of sleeping for a time that is hoped to be enough.

import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'

/** Resolves once the condition holds; fails after a limit that only a hang reaches. */
export async function eventually(
  condition: () => boolean | Promise<boolean>,
  explain: () => string = () => '',
  limitMs = 30_000,
): Promise<void> {
  const deadline = performance.now() + limitMs
  while (!(await condition())) {
    if (performance.now() > deadline)
      assert.fail(`not within ${limitMs / 1000} s: ${condition}\n${explain()}`)
    await delay(10)
  }
}
