// The tests of a range of seeds, in portions, for files of which two run at once. The seeds are always
// the same ones; `npm run sim` takes others.

import { test } from 'node:test'
import { runSeed } from './run.ts'

const portion = 10

export function testSeeds(first: number, count: number): void {
  for (let begin = first; begin < first + count; begin += portion) {
    const end = Math.min(begin + portion, first + count)
    test(`ten clusters come together again after any trouble: seeds ${begin} to ${end - 1}`, () => {
      for (let seed = begin; seed < end; seed++) runSeed(seed)
    })
  }
}
