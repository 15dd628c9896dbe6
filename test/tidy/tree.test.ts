// Rules of the tree that no compiler checks: how long a file may be, how it opens, how it is named,
// what must not be left in it, and that the lists which are written down in two places agree.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { basename, join } from 'node:path'
import { test } from 'node:test'
import { loadNative } from '../../src/native.ts'
import { drop } from '../../src/tables/counters.ts'
import { codeOf, filesOf, lineAt, root, textOf } from '../support/tree.ts'

const linesMost = 600
/** A file of fewer lines may open with less. */
const linesThatNeedHeader = 60
const headerLines = { least: 3, most: 15 } as const

const everything = filesOf()
const sources = everything.filter(file => /\.(?:ts|cc|h|py)$/.test(file))
/** What people wrote as text; licences and lockfiles are not ours. */
const written = everything.filter(
  file => file !== 'LICENSE' && !/(?:package-lock\.json|go\.sum)$/.test(file),
)

/** Every match of a pattern as `file:line: text`. */
function search(files: readonly string[], pattern: RegExp, read = textOf): string[] {
  return files.flatMap(file => {
    const text = read(file)
    return [...text.matchAll(pattern)].map(
      match => `${file}:${lineAt(text, match.index)}: ${match[0].trim()}`,
    )
  })
}

/** Comment lines that a file opens with. */
function headerOf(file: string): number {
  const rest = textOf(file).split('\n')
  const end = rest.findIndex(line => !line.startsWith('//'))
  return end < 0 ? rest.length : end
}

test('the whole tree is seen', () => {
  assert.ok(sources.length > 250, `saw ${sources.length} sources`)
  assert.ok(written.length > sources.length, `saw ${written.length} files`)
})

test('no file is too long', () => {
  const long = sources
    .filter(file => !file.startsWith('test/vectors/'))
    .map(file => ({ file, lines: textOf(file).split('\n').length - 1 }))
    .filter(({ lines }) => lines > linesMost)
  assert.deepEqual(long, [])
})

test('a file opens by saying what it is for', () => {
  const files = sources.filter(file => /^(?:src|bench|test\/support)\/.*\.ts$/.test(file))
  const silent = files.filter(file => headerOf(file) === 0)
  assert.deepEqual(silent, [])
  assert.ok(files.length > 130, `saw ${files.length} files`)
})

test('a public file opens with a paragraph, not with a word and not with a page', () => {
  const files = publicFiles()
  const wrong = files
    .map(file => ({ file, header: headerOf(file), lines: textOf(file).split('\n').length - 1 }))
    .filter(({ header, lines }) => {
      const least = lines > linesThatNeedHeader ? headerLines.least : 1
      return header < least || header > headerLines.most
    })
  assert.deepEqual(wrong, [])
  assert.ok(files.length > 40, `saw ${files.length} files`)
})

/** The files of src that another folder imports. */
function publicFiles(): string[] {
  const found = new Set<string>()
  for (const file of sources.filter(name => name.startsWith('src/'))) {
    const code = codeOf(textOf(file), 'keep')
    for (const [, path] of code.matchAll(/(?:from |import\()'\.\.\/([\w-]+\/[\w-]+\.ts)'/g)) {
      found.add(`src/${path}`)
    }
  }
  return [...found].sort()
}

test('names are nouns in kebab-case', () => {
  const folders = /^(?:src|test|bench|native|docs)\//
  const names = everything.filter(file => folders.test(file)).map(file => basename(file))
  const ours = names.filter(name => /\.(?:ts|cc|h|md|py)$/.test(name))
  const wrong = ours.filter(
    name =>
      !/^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.realtime)?(?:\.test)?\.[a-z]+$/.test(name) ||
      /\b(?:utils?|helpers?|managers?|misc|common)\b/.test(name),
  )
  assert.deepEqual(wrong, [])
})

test('unit tests lie where the code lies', () => {
  const folders = everything
    .filter(file => file.startsWith('test/unit/'))
    .map(file => file.split('/')[2])
  const tops = ['native', 'bench', 'deploy']
  const wrong = [...new Set(folders)].filter(
    folder => !existsSync(join(root, tops.includes(folder) ? folder : `src/${folder}`)),
  )
  assert.deepEqual(wrong, [])
})

test('nothing is left for later', () => {
  const words = ['TO' + 'DO', 'FIX' + 'ME', 'XX' + 'X', 'HA' + 'CK']
  assert.deepEqual(search(written, new RegExp(`\\b(?:${words.join('|')})\\b`, 'g')), [])
})

test('no test is passed over, and none is run alone', () => {
  const tests = sources.filter(file => file.startsWith('test/') && file.endsWith('.ts'))
  const calls = /\.(?:skip|only|todo)\(|[{,]\s*(?:skip|only|todo)\s*:/g
  assert.deepEqual(
    search(tests, calls, file => codeOf(textOf(file))),
    [],
  )
  assert.ok(tests.length > 100, `saw ${tests.length} files`)
})

test('no file knows the machine that it was written on', () => {
  const escaped = root.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  // A checkout at the root of a machine has a path that says nothing: `/hawser/`.
  const checkout = root.split('/').length > 3 ? [`(?<![\\w.)}/-])${escaped}`] : []
  const outside = `\\.\\./${'shared'}(?![\\w.-])`
  const homes = '(?<![\\w.)}/-])/(?:home|Users)/\\w+'
  const pattern = new RegExp([...checkout, outside, homes].join('|'), 'g')
  assert.deepEqual(search(written, pattern), [])
})

test('a source that is named in a comment or a page is there', () => {
  const names = new Set(everything.map(file => basename(file)))
  const readers = written.filter(file => /\.(?:ts|cc|h|md)$/.test(file))
  const named = /(?<![\w/.<*-])(?:[\w-]+\/)*[a-z][\w-]*(?:\.test)?\.(?:ts|cc)\b(?!`?\.)/g
  const missing = search(readers, named, file =>
    file.endsWith('.md') ? textOf(file) : commentsOf(textOf(file)),
  ).filter(found => {
    const path = found.slice(found.lastIndexOf(' ') + 1)
    return path.includes('/') ? !everything.some(file => file.endsWith(path)) : !names.has(path)
  })
  assert.deepEqual(missing, [])
})

/** The text with everything but its comments blanked. */
function commentsOf(text: string): string {
  const code = codeOf(text, 'keep')
  const isComment = (at: number) => code[at] !== text[at] || text[at] === '\n'
  return text.replace(/[\s\S]/g, (character, at) => (isComment(at) ? character : ' '))
}

test('the addon exports what the two lists of src/native.ts declare, and no more', () => {
  const text = textOf('src/native.ts')
  const breath = methodsOf(text, 'BreathFunctions')
  const setUp = methodsOf(text, 'SetupFunctions')
  assert.equal(breath.length, 8)
  assert.equal(setUp.length, 15)
  assert.deepEqual(Object.keys(loadNative()).sort(), [...breath, ...setUp].sort())
})

function methodsOf(text: string, name: string): string[] {
  const body = new RegExp(`^export interface ${name} \\{\\n([\\s\\S]*?)^\\}`, 'm').exec(text)?.[1]
  return [...(body ?? '').matchAll(/^ {2}(\w+)\(/gm)].map(([, method]) => method)
}

test('the addon has no thread, no timer and no global that changes', () => {
  const code = sources
    .filter(file => /^native\/.*\.(?:cc|h)$/.test(file))
    .filter(file => !/(?:test-exports|fuzz[\w-]*)\.cc$/.test(file))
  const banned =
    /\bstd::(?:thread|async|mutex|map|unordered_map)\b|\bpthread_|\btimerfd_|\buv_\w+|\bnapi_(?:call_function|make_callback|create_threadsafe_function)\b|^static (?!constexpr|const|_assert|inline)\w+/gm
  assert.deepEqual(
    search(code, banned, file => codeOf(textOf(file))),
    [],
  )
  assert.ok(code.length > 25, `saw ${code.length} files`)
})

test('every drop reason is given by somebody', () => {
  const givers = sources
    .filter(file => file.startsWith('src/') && !/counters\.ts$|drop-reasons\.ts$/.test(file))
    .map(file => codeOf(textOf(file)))
    .join('\n')
  const native = sources
    .filter(file => /^native\/.*\.cc$/.test(file) && !file.endsWith('/describe.cc'))
    .map(file => codeOf(textOf(file)))
    .join('\n')
  const never = Object.keys(drop).filter(reason => {
    const constant = `kDrop${reason[0].toUpperCase()}${reason.slice(1)}`
    const isGiven =
      new RegExp(`\\bdrop\\.${reason}\\b`).test(givers) ||
      new RegExp(`\\b${constant}\\b`).test(native)
    return !isGiven
  })
  assert.deepEqual(never, [])
})
