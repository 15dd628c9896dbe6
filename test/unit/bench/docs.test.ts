import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { test } from 'node:test'
import { markers, replacePart, requireMarkers, writeDocs } from '../../../bench/docs.ts'
import { defaultDocsFile } from '../../../bench/options.ts'
import { resultOf, tcp } from '../../support/bench-result.ts'

const { begin, end } = markers
const result = resultOf([tcp(1, 'plain', 40, 0), tcp(1, 'hawser', 8, 0.2)])

test('the page of this tree has its markers', () => {
  requireMarkers(defaultDocsFile)
})

test('what stands between the markers is replaced, and nothing else', () => {
  const page = `# Title\n\n${begin}\nold\n${end}\n\n## By hand\n`
  const written = replacePart('page.md', page, 'new\n')
  assert.equal(written, `# Title\n\n${begin}\n\nnew\n\n${end}\n\n## By hand\n`)
  assert.equal(replacePart('page.md', written, 'new'), written)
})

const broken: readonly [name: string, page: string][] = [
  ['none', 'text'],
  ['no end', begin],
  ['no begin', end],
  ['the wrong order', `${end}\n${begin}`],
  ['begin twice', `${begin}\n${begin}\n${end}`],
  ['end twice', `${begin}\n${end}\n${end}`],
]

test('a page without its markers is refused by name, with what to do', () => {
  for (const [name, page] of broken) {
    assert.throws(() => replacePart('page.md', page, ''), /^Error: page.md: .*--no-docs$/, name)
  }
})

test('a page and its chart are written side by side', () => {
  const folder = mkdtempSync(`${tmpdir()}/hawser-docs-`)
  try {
    const file = `${folder}/page.md`
    writeFileSync(file, `# T\n\n${begin}\n${end}\n`)
    assert.deepEqual(writeDocs(file, result), [file, `${folder}/page.svg`])
    assert.match(
      readFileSync(file, 'utf8'),
      /!\[TCP .*\]\(page.svg\)\n\nSome CPU .*\n(.*\n)*#### TCP/,
    )
    assert.match(readFileSync(`${folder}/page.svg`, 'utf8'), /^<svg /)
  } finally {
    rmSync(folder, { recursive: true })
  }
})
