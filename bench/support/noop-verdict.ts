// Preloaded (`node --import`) into a data path and its workers: rewrites their verdicts while they
// are loaded, and says so. src has no switch for it. A source that the rewrite does not fit throws,
// and the worker dies with it.

import { writeSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { rewrites, rewriteVerdict, rewritten } from './verdict-rewrite.ts'

const root = new URL('../../', import.meta.url)
const byUrl = new Map(rewrites.map(rewrite => [new URL(rewrite.file, root).href, rewrite]))

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context)
    const rewrite = byUrl.get(url)
    if (rewrite === undefined) return loaded
    if (!Buffer.isBuffer(loaded.source)) throw new Error(`${rewrite.file} was loaded without text`)
    const source = rewriteVerdict(loaded.source.toString(), rewrite)
    // Not process.stderr: a worker never returns to the event loop that would write it.
    writeSync(2, rewritten(rewrite.file))
    return { ...loaded, source }
  },
})
