// One Lease of a fake API server for elections in virtual time: a version, compare-and-swap, and a stamp
// that changes with every write.

import type { LeaseRecord, LeaseWrite } from '../../src/kube/lease-record.ts'

export class FakeLease {
  record: LeaseRecord | undefined
  version = 0
  #writes = 0

  /** Undefined: somebody else has written since `version`. */
  write(write: LeaseWrite, version: number): LeaseRecord | undefined {
    if (version !== this.version) return undefined
    return this.set(write)
  }

  /** By whomever. */
  set({ holder, epoch, durationMs, annotations }: Omit<LeaseWrite, 'isNewHolder'>): LeaseRecord {
    this.version++
    this.record = { holder, epoch, durationMs, annotations, stamp: `w${++this.#writes}` }
    return this.record
  }

  remove(): void {
    this.version++
    this.record = undefined
  }
}
