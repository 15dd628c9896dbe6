import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { isRecentGo, pinnedVersion } from '../../../bench/go.ts'

const newest = 'golang.zx2c4.com/wireguard'
const tailscale = 'github.com/tailscale/wireguard-go'

function goMod(folder: string): string {
  return readFileSync(new URL(`../../../bench/peers/${folder}/go.mod`, import.meta.url), 'utf8')
}

test('the peers are pinned to the versions that the goals name', () => {
  assert.equal(
    pinnedVersion(goMod('wireguard-newest'), newest),
    'v0.0.0-20260522210424-ecfc5a8d5446',
  )
  assert.equal(
    pinnedVersion(goMod('wireguard-tailscale'), tailscale),
    'v0.0.0-20260928213032-417aef361226',
  )
})

test('a requirement is found on a line of its own too, and a missing one is an error', () => {
  assert.equal(pinnedVersion('module x\n\nrequire a.b/c v1.2.3\n', 'a.b/c'), 'v1.2.3')
  assert.throws(() => pinnedVersion('module x\n\ntool a.b/c\n', 'a.b/c'), /requires no a.b\/c/)
})

const goVersions: readonly [text: string, isRecent: boolean][] = [
  ['go1.26.0', true],
  ['go1.26', true],
  ['go1.27rc1', true],
  ['go1.25.9', false],
  ['go1.9', false],
  ['devel', false],
  ['', false],
]

test('Go must be as new as the modules ask for', () => {
  for (const [text, isRecent] of goVersions) assert.equal(isRecentGo(text), isRecent, text)
})
