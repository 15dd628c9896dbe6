// `npm test`: runs every suite and counts. Tests are counted one by one, subtests too; a skipped or
// unfinished (todo) test counts as failed, and so do a file and a suite without any test. The last
// line is `N passed, N failed`, and the exit code is 0 only when nothing failed.
//
//   node test/support/suites.ts             all suites
//   node test/support/suites.ts unit sim    these
//
// Files named *.realtime.test.ts wait for timers of minutes: they are all started at once, beside
// the namespace suites.

import { globSync } from 'node:fs'
import { relative } from 'node:path'
import type { EventData } from 'node:test'
import { run } from 'node:test'
import { fileURLToPath } from 'node:url'
import { prepareServers } from './kubernetes/binaries.ts'
import { missingRequirements } from './requirements.ts'
import { emulate, emulatedFiles, type Prepare, sanitize } from './variants.ts'

interface Suite {
  readonly name: string
  readonly files: readonly string[]
  /** Files that run at the same time. */
  readonly atOnce: number
  /** Needs TUN, namespaces and the peers' programs. */
  readonly kernel: boolean
  /** Makes what the tests need: another build of the addon, the servers' programs. */
  readonly prepare?: Prepare
}

interface Count {
  passed: number
  failed: number
}

/** A suite that takes longer hangs. */
const suiteLimitMs = 15 * 60_000

const root = fileURLToPath(new URL('../..', import.meta.url))

process.chdir(root)
process.exitCode = await main(process.argv.slice(2))

async function main(chosen: readonly string[]): Promise<number> {
  const suites = allSuites()
  const unknown = chosen.filter(name => !suites.some(suite => suite.name === name))
  if (unknown.length > 0) {
    const names = suites.map(suite => suite.name).join(', ')
    process.stderr.write(`there is no suite ${unknown.join(', ')}\ntry: ${names}\n`)
    return 2
  }
  const wanted = suites.filter(({ name }) => chosen.length === 0 || chosen.includes(name))
  const total: Count = { passed: 0, failed: 0 }
  const runAll = async (list: readonly Suite[]) => {
    for (const suite of list) {
      const { passed, failed } = await runSuite(suite)
      total.passed += passed
      total.failed += failed
    }
  }
  await runAll(wanted.filter(({ kernel }) => !kernel))
  const kernelSuites = wanted.filter(({ kernel }) => kernel)
  const problems = kernelSuites.length === 0 ? [] : missingRequirements()
  if (problems.length > 0) {
    const names = kernelSuites.map(({ name }) => name).join(', ')
    for (const problem of problems) print(`✗ ${names} cannot run: ${problem}`)
    total.failed += problems.length
  } else {
    const waiting = kernelSuites.filter(({ name }) => name === 'realtime')
    await Promise.all([
      runAll(waiting),
      runAll(kernelSuites.filter(suite => !waiting.includes(suite))),
    ])
  }
  print(`\n${total.passed} passed, ${total.failed} failed`)
  return total.failed === 0 && total.passed > 0 ? 0 : 1
}

function allSuites(): Suite[] {
  const realtime = globSync('test/**/*.realtime.test.ts')
  const suite = (name: string, atOnce: number, kernel: boolean): Suite => ({
    name,
    files: globSync(`test/${name}/**/*.test.ts`)
      .filter(file => !realtime.includes(file))
      .sort(),
    atOnce,
    kernel,
  })
  // On arm64 itself the unit suite is that.
  const emulated =
    process.arch === 'arm64'
      ? []
      : [{ ...suite('arm64', 2, false), files: emulatedFiles(), prepare: emulate }]
  return [
    suite('unit', 2, false),
    { ...suite('unit/native', 2, false), name: 'sanitizer', prepare: sanitize },
    ...emulated,
    suite('tidy', 2, false),
    suite('sim', 2, false),
    { ...suite('kubernetes', 2, false), prepare: prepareServers },
    { ...suite('trust', 1, false), prepare: prepareServers },
    suite('e2e', 1, true),
    suite('interop', 1, true),
    {
      name: 'realtime',
      files: realtime.sort(),
      atOnce: Math.max(1, realtime.length),
      kernel: true,
    },
  ]
}

async function runSuite(suite: Suite): Promise<Count> {
  const startedMs = performance.now()
  const count: Count = { passed: 0, failed: 0 }
  print(`• ${suite.name}: ${suite.files.length} files`)
  let restore: ReturnType<Prepare> | undefined
  try {
    restore = suite.prepare?.()
  } catch (error) {
    print(`✗ ${suite.name} cannot run: ${error instanceof Error ? error.message : error}`)
    return { passed: 0, failed: 1 }
  }
  const files = new Map<string, string[]>()
  const tested = new Set<string>()
  for await (const { type, data } of eventsOf(suite)) {
    if (type === 'test:stdout' || type === 'test:stderr') {
      const said = files.get(data.file) ?? []
      files.set(data.file, said)
      said.push(data.message)
    } else if (type === 'test:pass' || type === 'test:fail') {
      const failure = judge(type, data, tested)
      if (failure === undefined) continue
      if (failure === '') count.passed++
      else {
        count.failed++
        print(`✗ ${failure}`)
        const file = fileOf(data)
        for (const line of files.get(file) ?? []) process.stdout.write(`    ${line}`)
        files.delete(file)
      }
    }
  }
  restore?.()
  // What tests of files that passed had to say, such as a form of a cipher that this CPU lacks.
  for (const [file, said] of files) print(`  ${shown(file)}: ${said.join('').trim()}`)
  if (tested.size === 0) {
    count.failed++
    print(`✗ ${suite.name} has no tests`)
  }
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
  print(
    `${count.failed === 0 ? '✓' : '✗'} ${suite.name}: ${count.passed} passed, ${count.failed} failed (${seconds} s)`,
  )
  return count
}

function eventsOf(suite: Suite) {
  // An empty list would make the runner look for files by itself.
  if (suite.files.length === 0) return []
  return run({
    files: suite.files.map(file => `${root}${file}`),
    concurrency: suite.atOnce,
    signal: AbortSignal.timeout(suiteLimitMs),
  })
}

/** '' for a test that passed, what to say of one that failed, undefined for what is no test. */
function judge(
  type: 'test:pass' | 'test:fail',
  data: EventData.TestPass | EventData.TestFail,
  tested: Set<string>,
): string | undefined {
  const file = fileOf(data)
  const where = `${shown(file)}: ${data.name}`
  // The runner itself reports a file by its path: as passed when it holds no test, as failed when
  // its process did. A suite (describe) is no test, but it can fail by itself, in a hook.
  const isFile = data.name === file && data.nesting === 0
  if (isFile && type === 'test:pass') return `${shown(file)} has no tests`
  const error = type === 'test:pass' ? undefined : (data as EventData.TestFail).details.error
  if (data.details.type === 'suite' && failureType(error) !== 'hookFailed') return undefined
  tested.add(file)
  if (data.skip !== undefined && data.skip !== false) return `${where}: skipped`
  if (data.todo !== undefined && data.todo !== false) return `${where}: todo`
  if (error === undefined) return ''
  const cause = error.cause instanceof Error ? error.cause : error
  return `${where}\n${indent(cause.stack ?? cause.message)}`
}

/** The file that was run, also for a test that it takes from another module. */
function fileOf(data: EventData.TestPass | EventData.TestFail): string {
  return 'entryFile' in data ? String(data.entryFile) : (data.file ?? '')
}

function failureType(error: Error | undefined): unknown {
  return error !== undefined && 'failureType' in error ? error.failureType : undefined
}

function shown(file: string): string {
  return relative(root, file) || file
}

function indent(text: string): string {
  return text.replace(/^/gm, '    ')
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}
