import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatAddress, formatPrefix, formatRemote } from '../../../src/net/address.ts'
import type { Tables } from '../../../src/tables/tables.ts'
import { decodeTables } from '../../../src/wire/tables.ts'
import { parseTablesFile, readTablesFile } from '../../../src/wire/tables-file.ts'
import { arbitraryTables } from '../../support/arbitraries.ts'
import { testSeed } from '../../support/rng.ts'
import { temporaryDirectory } from '../../support/temporary.ts'

const text = (value: unknown) => new TextEncoder().encode(JSON.stringify(value))
const base64 = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString('base64')
const key = (byte: number) => new Uint8Array(32).fill(byte)

/** As a person would write them: keys in base64, the rest as text. */
function asFile(tables: Tables): object {
  const { privateKey, vxlan, ...device } = tables.device
  return {
    generation: tables.generation,
    device: {
      ...device,
      privateKey: base64(privateKey),
      vxlan: vxlan && {
        vni: vxlan.vni,
        address: formatAddress(vxlan.address),
        mac: [...vxlan.mac].map(byte => byte.toString(16).padStart(2, '0')).join(':'),
      },
    },
    cables: tables.cables.map(cable => ({
      ...cable,
      remote: cable.remote && formatRemote(cable.remote),
      allowedIps: cable.allowedIps.map(formatPrefix),
      ...(cable.driver === 'vxlan'
        ? { tunnelAddress: formatAddress(cable.tunnelAddress) }
        : { publicKey: base64(cable.publicKey), presharedKey: base64(cable.presharedKey) }),
    })),
  }
}

test('every snapshot can be written as a file, whatever its white space', () => {
  fc.assert(
    fc.property(arbitraryTables, fc.constantFrom(0, 2, '\t'), (tables, indent) => {
      const file = JSON.stringify(asFile(tables), undefined, indent)
      const parsed = parseTablesFile(new TextEncoder().encode(file), 0)
      assert.deepEqual(structuredClone(parsed), structuredClone(tables))
    }),
    { seed: testSeed(), numRuns: 200 },
  )
})

test('what is left out has a default; a remote is taken anew with each file', () => {
  const cable = { name: 'west', driver: 'wireguard', publicKey: base64(key(1)) }
  const tables = parseTablesFile(text({ device: {}, cables: [cable] }), 7)
  const defaults = { remoteSerial: 7, allowedIps: [], keepaliveSeconds: 0 }
  assert.deepEqual(tables, {
    generation: 7,
    device: { listenPort: 0, fwmark: 0 },
    cables: [{ name: 'west', driver: 'wireguard', publicKey: key(1), ...defaults }],
  })
})

test('keys are overwritten in the text', () => {
  const bytes = text({ device: { privateKey: base64(key(0xa5)) } })
  assert.deepEqual(parseTablesFile(bytes, 1).device.privateKey, key(0xa5))
  const left = new TextDecoder().decode(bytes)
  assert.equal(left.includes(base64(key(0xa5))?.slice(0, 8) ?? ''), false)
})

const badKeys = ['', 'AAAA', `${'A'.repeat(44)}`, `${'A'.repeat(42)}B=`, `${'*'.repeat(43)}=`]

test('a malformed key is named by its field and not repeated', () => {
  for (const privateKey of badKeys)
    assert.throws(
      () => parseTablesFile(text({ device: { privateKey } }), 1),
      /^GatewayError: device\.privateKey: expected 32 bytes$/,
      privateKey,
    )
})

test('a file that cannot be used is named, with the reason', context => {
  const directory = temporaryDirectory(context)
  const file = join(directory, 'tables.json')
  assert.throws(() => readTablesFile(file, 1), {
    code: 'ENOENT',
    message: `cannot read the tables in ${file}: no such file`,
    hint: /docs\/wire\.md/,
  })
  assert.throws(() => readTablesFile(directory, 1), { message: /: it is a directory$/ })
  writeFileSync(file, '{"device":\n')
  assert.throws(() => readTablesFile(file, 1), { message: /tables\.json: not JSON/ })
  writeFileSync(file, '{"device": {"listenPort": "x"}}')
  assert.throws(() => readTablesFile(file, 1), {
    code: 'EINVAL',
    message: /tables\.json: device\.listenPort: expected a whole number/,
    hint: /docs\/wire\.md/,
  })
})

test('the examples of docs/wire.md are what they say', () => {
  const page = readFileSync(new URL('../../../docs/wire.md', import.meta.url), 'utf8')
  const [snapshot, file] = [...page.matchAll(/```json\n(.*?)```/gs)].map(match => match[1])
  const decoded = decodeTables({ head: JSON.parse(snapshot), trailer: new Uint8Array(96) })
  assert.deepEqual(
    decoded.cables.map(cable => cable.driver),
    ['wireguard', 'vxlan'],
  )
  const read = parseTablesFile(new TextEncoder().encode(file), 3)
  assert.deepEqual([read.generation, read.device.privateKey?.length], [3, 32])
})
