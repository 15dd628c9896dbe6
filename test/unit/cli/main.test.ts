import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { chosenCommand } from '../../../src/cli/main.ts'
import { temporaryDirectory } from '../../support/temporary.ts'

const bin = fileURLToPath(new URL('../../../bin/', import.meta.url))

function run(program: string, ...args: readonly string[]) {
  const env = { PATH: process.env['PATH'] ?? '/usr/bin:/bin' }
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', env })
  return { status, stdout, stderr }
}

const hawser = (...args: readonly string[]) => run(join(bin, 'hawser'), ...args)

test('the command is found among the options in front of it', () => {
  const cases: readonly (readonly [string[], string | undefined])[] = [
    [[], undefined],
    [['wg', 'lab'], 'wg'],
    [['--color', 'never', 'wg'], 'wg'],
    [['--color=never', '--plain', 'lab', '--color', 'x'], 'lab'],
    [['help', 'status'], 'status'],
    [['--help'], undefined],
  ]
  for (const [args, expected] of cases) assert.equal(chosenCommand(args), expected, args.join(' '))
})

test('help lists every command with what it does', () => {
  const { status, stdout, stderr } = hawser('--help')
  assert.deepEqual([status, stderr], [0, ''])
  for (const name of ['lab', 'wg', 'datapath', 'apply', 'status', 'drops', 'cable'])
    assert.match(stdout, new RegExp(`^ {2}${name} {2,}\\S.*$`, 'm'))
  assert.equal(hawser('help').stdout, stdout)
})

test('help of a command comes from its own module', () => {
  for (const args of [
    ['wg', '--help'],
    ['help', 'wg'],
  ]) {
    const { status, stdout } = hawser(...args)
    assert.equal(status, 0)
    assert.match(stdout, /WG_TUN_FD/)
  }
})

test('the version', () => {
  for (const args of [['--version'], ['-V'], ['wg', '--version']]) {
    const { status, stdout } = hawser(...args)
    assert.deepEqual([status, /^hawser \d+\.\d+\.\d+\n$/.test(stdout)], [0, true])
  }
})

test('wrong usage: exit code 2, one line and what to try', () => {
  const cases: readonly (readonly [string[], RegExp])[] = [
    [['moor'], /^hawser: unknown command 'moor'.*\ntry: hawser help\n$/],
    [['--colour'], /^hawser: unknown option '--colour'.*\ntry: hawser help\n$/],
    [['--color', 'blue'], /^hawser: .*'blue' is invalid.*\ntry: hawser help\n$/],
    [['wg'], /^hawser: missing required argument 'interface'\ntry: hawser help wg\n$/],
    [['wg', '--loud', 'wg0'], /^hawser: unknown option '--loud'\ntry: hawser help wg\n$/],
    [['wg', 'wg0', 'wg1'], /^hawser: too many arguments.*\ntry: hawser help wg\n$/],
    [['lab', 'upp'], /^hawser: unknown command 'upp'.*\ntry: hawser help lab\n$/],
    [['lab', 'up', '--foo'], /^hawser: unknown option '--foo'\ntry: hawser lab up --help\n$/],
    [['lab', 'exec'], /^hawser: missing required .*\ntry: hawser lab exec --help\n$/],
    [['cable', 'set', 'west', '--cipher', 'x'], /\ntry: hawser cable set --help\n$/],
    [['wg', 'a/b'], /^hawser: interface name "a\/b" .*\ntry: hawser wg wg0\n$/],
  ]
  for (const [args, pattern] of cases) {
    const { status, stdout, stderr } = hawser(...args)
    assert.deepEqual([status, stdout], [2, ''], args.join(' '))
    assert.match(stderr, pattern)
  }
})

test('no command: the help on standard error, exit code 2', () => {
  const { status, stdout, stderr } = hawser()
  assert.deepEqual([status, stdout], [2, ''])
  assert.match(stderr, /^Usage: hawser /)
})

test('colour on demand, also in errors', () => {
  assert.ok(hawser('--color', 'always', 'wg', 'a/b').stderr.startsWith('\u001b[31mhawser:'))
})

test('both programs run through links, from anywhere', context => {
  const directory = temporaryDirectory(context)
  symlinkSync(join(bin, 'hawser'), join(directory, 'first'))
  symlinkSync('first', join(directory, 'second'))
  symlinkSync(join(bin, 'hawser-wg'), join(directory, 'wg-link'))
  assert.match(run(join(directory, 'second'), '--version').stdout, /^hawser /)
  const { status, stderr } = run(join(directory, 'wg-link'), 'a b')
  assert.equal(status, 2)
  assert.match(stderr, /interface name "a b"/)
})

test('a clone that is not set up says which command to run', context => {
  const directory = temporaryDirectory(context)
  mkdirSync(join(directory, 'bin'))
  for (const name of ['hawser', 'hawser-wg'])
    copyFileSync(join(bin, name), join(directory, 'bin', name))
  for (const name of ['hawser', 'hawser-wg']) {
    const { status, stdout, stderr } = run(join(directory, 'bin', name), 'wg0')
    assert.deepEqual([status, stdout], [1, ''])
    assert.match(stderr, /^hawser: not set up: .* is missing\ntry: cd .* && sh scripts\/setup/)
  }
})
