import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { rewrites, rewriteVerdict, rewritten } from '../../../bench/support/verdict-rewrite.ts'
import { root, textOf } from '../../support/tree.ts'

test('the replacements fit the verdicts of this tree', () => {
  assert.equal(rewrites.length, 2)
  for (const rewrite of rewrites) {
    const source = textOf(rewrite.file)
    const text = rewriteVerdict(source, rewrite)
    assert.equal(text.length, source.length + rewrite.begin.length, rewrite.file)
    assert(text.includes(`${rewrite.signature}${rewrite.begin}`), rewrite.file)
  }
})

test('a process with the preload loads both files with their replacements, and says so', () => {
  const script = `await import('./src/datapath/build.ts')`
  const argv = ['--import', './bench/support/noop-verdict.ts', '--input-type=module', '-e', script]
  const { status, stderr } = spawnSync(process.execPath, argv, { cwd: root, encoding: 'utf8' })
  assert.equal(status, 0, stderr)
  for (const { file } of rewrites) assert.equal(stderr.split(rewritten(file)).length, 2, stderr)
})

test('a text that is not there, or there twice, is an error that names file and text', () => {
  for (const rewrite of rewrites) {
    const source = textOf(rewrite.file)
    const renamed = source.replace(rewrite.signature, '  #judgement(base: number): number {\n')
    assert.throws(() => rewriteVerdict(renamed, rewrite), /has 0 times the text '#verdict\(base/)
    const twice = source + rewrite.signature
    assert.throws(() => rewriteVerdict(twice, rewrite), /has 2 times the text '#verdict\(base/)
  }
})
