import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  newKeyPair,
  prefixLists,
  remoteAt,
  silentPeers,
  tablesOf,
  tablesText,
  wgText,
} from '../../../bench/fleet.ts'
import { formatPrefix, parsePrefix, prefixKey } from '../../../src/net/address.ts'
import { parseTablesFile } from '../../../src/wire/tables-file.ts'

test('prefixes are the same in every run, half of each family, and nobody has one twice', () => {
  const lists = prefixLists(20, 10)
  assert.deepEqual(lists, prefixLists(20, 10))
  const all = lists.flat()
  assert.equal(new Set(all.map(prefixKey)).size, 200)
  assert.equal(all.filter(({ family }) => family === 4).length, 100)
  for (const prefix of all) assert.deepEqual(parsePrefix(formatPrefix(prefix)), prefix)
})

test('the tables of a fleet and the file of the same fleet say the same', () => {
  const keys = newKeyPair()
  const peers = [
    ...silentPeers(3, 4),
    { name: 'x', publicKey: keys.publicKey, remote: remoteAt('192.0.2.9', 1), allowedIps: [] },
  ]
  const file = Buffer.from(tablesText(keys, 4500, peers))
  assert.deepEqual(parseTablesFile(file, 7), tablesOf(7, keys, 4500, peers))
})

test('wg is given every peer with its prefixes and its address', () => {
  const peers = silentPeers(2, 2)
  const lines = wgText(newKeyPair(), 4500, peers).trim().split('\n')
  assert.equal(lines.length, 3 + 2 * 4)
  assert.equal(lines[5], `AllowedIPs = ${peers[0].allowedIps.map(formatPrefix).join(', ')}`)
  assert.equal(lines[6], 'Endpoint = 192.0.2.1:20000')
})
