// A call to an API server that must fail.

import assert from 'node:assert/strict'
import type { KubeCode } from '../../src/kube/errors.ts'

/** The error has this code and names the call. */
export async function refused(
  work: Promise<unknown>,
  code: KubeCode,
  named: string,
): Promise<void> {
  await assert.rejects(work, (error: Error & { code?: string }) => {
    assert.equal(error.code, code, error.message)
    assert.ok(error.message.includes(named), error.message)
    return true
  })
}
