import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatPrefix, formatRemote } from '../../../src/net/address.ts'
import { limits } from '../../../src/tables/shared.ts'
import {
  type CableTable,
  emptyTables,
  type Tables,
  type WireguardCable,
} from '../../../src/tables/tables.ts'
import { applyOperations } from '../../../src/uapi/apply.ts'
import { EINVAL, ENOSPC } from '../../../src/uapi/errno.ts'
import { publicKeyOf } from '../../../src/uapi/own-key.ts'
import { RequestParser } from '../../../src/uapi/request.ts'

/** A key in hex that starts with a letter of its own. */
function hex(letter: string): string {
  return Buffer.alloc(32, letter, 'latin1').toString('hex')
}

function keyOf(letter: string): Uint8Array {
  return Uint8Array.from(Buffer.alloc(32, letter, 'latin1'))
}

function apply(tables: Tables, lines: string) {
  const parser = new RequestParser({ readOnly: false })
  const [request] = parser.feed(Buffer.from(`set=1\n${lines.trim().replace(/\n\s+/g, '\n')}\n\n`))
  assert.equal(request.errno, 0, request.problem)
  return applyOperations(tables, request.operations, publicKeyOf)
}

function set(tables: Tables, lines: string): Tables {
  const applied = apply(tables, lines)
  assert.ok(applied.kind === 'applied')
  assert.equal(applied.tables.generation, tables.generation + 1)
  return applied.tables
}

function refused(tables: Tables, lines: string): number {
  const applied = apply(tables, lines)
  assert.ok(applied.kind === 'refused')
  return applied.errno
}

/** The peers with what a reader of `wg show` sees: letter of the key, prefixes, and the rest. */
function shown(tables: Tables): Record<string, string> {
  return Object.fromEntries(
    tables.cables.map(cable => {
      assert.ok(cable.driver === 'wireguard')
      const parts = [
        ...cable.allowedIps.map(formatPrefix),
        ...(cable.remote === undefined ? [] : [`at ${formatRemote(cable.remote)}`]),
        ...(cable.keepaliveSeconds === 0 ? [] : [`every ${cable.keepaliveSeconds}`]),
        ...(cable.presharedKey === undefined ? [] : ['psk']),
      ]
      return [String.fromCharCode(cable.publicKey[0]), parts.join(' ')]
    }),
  )
}

function peer(tables: Tables, letter: string): WireguardCable {
  const found = tables.cables.find(
    (cable): cable is WireguardCable =>
      cable.driver === 'wireguard' && cable.publicKey[0] === letter.charCodeAt(0),
  )
  assert.ok(found)
  return found
}

const two = set(
  emptyTables,
  `listen_port=1000
   fwmark=7
   public_key=${hex('a')}
   preshared_key=${hex('z')}
   endpoint=192.0.2.1:1
   persistent_keepalive_interval=25
   allowed_ip=10.0.0.0/24
   allowed_ip=fd00::/64
   public_key=${hex('b')}
   allowed_ip=10.0.1.0/24`,
)

test('device lines and the sections of two peers', () => {
  assert.deepEqual(two.device, { listenPort: 1000, fwmark: 7 })
  assert.deepEqual(shown(two), {
    a: '10.0.0.0/24 fd00::/64 at 192.0.2.1:1 every 25 psk',
    b: '10.0.1.0/24',
  })
  assert.deepEqual(peer(two, 'a').publicKey, keyOf('a'))
  assert.deepEqual(peer(two, 'a').presharedKey, keyOf('z'))
})

const steps: readonly (readonly [what: string, lines: string, Record<string, string>])[] = [
  [
    'one value of a peer, the rest stays',
    `public_key=${hex('a')}\npersistent_keepalive_interval=0`,
    { a: '10.0.0.0/24 fd00::/64 at 192.0.2.1:1 psk', b: '10.0.1.0/24' },
  ],
  [
    'an allowed IP moves to the peer that sets it last',
    `public_key=${hex('b')}\nallowed_ip=10.0.0.0/24`,
    { a: 'fd00::/64 at 192.0.2.1:1 every 25 psk', b: '10.0.1.0/24 10.0.0.0/24' },
  ],
  [
    'it moves only when it is the same prefix',
    `public_key=${hex('b')}\nallowed_ip=10.0.0.0/25`,
    { a: '10.0.0.0/24 fd00::/64 at 192.0.2.1:1 every 25 psk', b: '10.0.1.0/24 10.0.0.0/25' },
  ],
  [
    'a prefix is taken away from its owner',
    `public_key=${hex('a')}\nallowed_ip=-10.0.0.0/24`,
    { a: 'fd00::/64 at 192.0.2.1:1 every 25 psk', b: '10.0.1.0/24' },
  ],
  [
    'and from nobody else',
    `public_key=${hex('b')}\nallowed_ip=-10.0.0.0/24\nallowed_ip=-10.9.0.0/16`,
    { a: '10.0.0.0/24 fd00::/64 at 192.0.2.1:1 every 25 psk', b: '10.0.1.0/24' },
  ],
  [
    'allowed IPs are replaced',
    `public_key=${hex('a')}\nreplace_allowed_ips=true\nallowed_ip=10.7.0.0/16`,
    { a: '10.7.0.0/16 at 192.0.2.1:1 every 25 psk', b: '10.0.1.0/24' },
  ],
  [
    'a replaced prefix is free for others in the same set',
    `public_key=${hex('b')}\nallowed_ip=10.8.0.0/16\npublic_key=${hex('a')}
     replace_allowed_ips=true\npublic_key=${hex('b')}\nallowed_ip=10.0.0.0/24`,
    { a: 'at 192.0.2.1:1 every 25 psk', b: '10.0.1.0/24 10.8.0.0/16 10.0.0.0/24' },
  ],
  [
    'a peer is removed, and its prefix is free',
    `public_key=${hex('a')}\nremove=true\npublic_key=${hex('b')}\nallowed_ip=10.0.0.0/24`,
    { b: '10.0.1.0/24 10.0.0.0/24' },
  ],
  [
    'removing an unknown peer makes none',
    `public_key=${hex('c')}\nremove=true\nallowed_ip=10.0.0.0/24`,
    { a: '10.0.0.0/24 fd00::/64 at 192.0.2.1:1 every 25 psk', b: '10.0.1.0/24' },
  ],
  [
    'update_only: an unknown peer is not made and takes nothing, a known one is changed',
    `public_key=${hex('c')}\nallowed_ip=10.0.0.0/24\nupdate_only=true\npublic_key=${hex('b')}
     update_only=true\npersistent_keepalive_interval=9`,
    { a: '10.0.0.0/24 fd00::/64 at 192.0.2.1:1 every 25 psk', b: '10.0.1.0/24 every 9' },
  ],
  [
    'peers are replaced',
    `replace_peers=true\npublic_key=${hex('b')}\nallowed_ip=10.0.0.0/24\nprotocol_version=1`,
    { b: '10.0.0.0/24' },
  ],
  [
    'a zero preshared key clears it',
    `public_key=${hex('a')}\npreshared_key=${'0'.repeat(64)}`,
    { a: '10.0.0.0/24 fd00::/64 at 192.0.2.1:1 every 25', b: '10.0.1.0/24' },
  ],
]

test('a set over two peers gives what its lines say', () => {
  for (const [what, lines, expected] of steps) {
    assert.deepEqual(shown(set(two, lines)), expected, what)
  }
})

test('what a set does not touch stays the same object', () => {
  const after = set(two, `public_key=${hex('b')}\nallowed_ip=10.5.0.0/16`)
  assert.equal(peer(after, 'a'), peer(two, 'a'))
  assert.equal(after.device, two.device)
  const byEndpoint = set(two, `public_key=${hex('a')}\nendpoint=192.0.2.2:1`)
  assert.equal(peer(byEndpoint, 'a').allowedIps, peer(two, 'a').allowedIps)
})

test('setting an endpoint raises its serial, also to the same one; nothing else does', () => {
  const again = set(two, `public_key=${hex('a')}\nendpoint=192.0.2.1:1`)
  assert.ok(peer(again, 'a').remoteSerial > peer(two, 'a').remoteSerial)
  const other = set(again, `public_key=${hex('a')}\npersistent_keepalive_interval=1`)
  assert.equal(peer(other, 'a').remoteSerial, peer(again, 'a').remoteSerial)
  // Replaced peers forget where they were, and keep their names.
  const replaced = set(other, `replace_peers=true\npublic_key=${hex('a')}`)
  assert.ok(peer(replaced, 'a').remoteSerial > peer(other, 'a').remoteSerial)
  assert.equal(peer(replaced, 'a').remote, undefined)
  assert.equal(peer(replaced, 'a').name, peer(two, 'a').name)
})

test('our own key: its section is ignored, and a peer with it goes when the key is set', () => {
  const own = Buffer.from(publicKeyOf(keyOf('k'))).toString('hex')
  const ignored = set(
    two,
    `private_key=${hex('k')}\npublic_key=${own}\nallowed_ip=10.0.0.0/24\nremove=true`,
  )
  assert.deepEqual(shown(ignored), shown(two))
  assert.deepEqual(ignored.device.privateKey, keyOf('k'))
  const withOwn = set(two, `public_key=${own}\nallowed_ip=10.5.0.0/16`)
  assert.equal(withOwn.cables.length, 3)
  assert.equal(set(withOwn, `private_key=${hex('k')}`).cables.length, 2)
  const without = set(ignored, `private_key=${'0'.repeat(64)}`)
  assert.equal('privateKey' in without.device, false)
})

test('a line in the wrong place is EINVAL', () => {
  const misplaced = [
    'allowed_ip=10.0.0.0/8',
    'remove=true',
    'endpoint=192.0.2.1:1',
    'protocol_version=1',
    `public_key=${hex('a')}\nlisten_port=1`,
    `public_key=${hex('a')}\nreplace_peers=true`,
    `public_key=${hex('c')}\nupdate_only=true\nfwmark=1`,
    `public_key=${hex('a')}\nprivate_key=${hex('k')}`,
  ]
  for (const lines of misplaced) assert.equal(refused(two, lines), EINVAL, lines)
})

test('names: eight characters of the key, longer where two begin alike, stable', () => {
  const [first, second] = ['11', '22'].map(end => `${hex('a').slice(0, 62)}${end}`)
  const both = set(emptyTables, `public_key=${first}\npublic_key=${second}`)
  const names = both.cables.map(cable => cable.name)
  assert.equal(names[0], Buffer.from(first, 'hex').toString('base64').slice(0, 8))
  assert.ok(names[1].length > 8 && names[1].startsWith(names[0]))
  const after = set(both, `public_key=${first}\nremove=true\npublic_key=${hex('b')}`)
  assert.equal(after.cables[0].name, names[1])
})

test('cables of other drivers stay as they are', () => {
  const vxlan: CableTable = {
    name: 'west',
    driver: 'vxlan',
    remoteSerial: 0,
    allowedIps: [],
    tunnelAddress: { family: 4, bytes: Uint8Array.of(241, 0, 0, 1) },
  }
  const mixed: Tables = { ...two, cables: [vxlan, ...two.cables] }
  const after = set(mixed, `replace_peers=true\npublic_key=${hex('c')}`)
  assert.equal(after.cables.length, 2)
  assert.equal(after.cables[0], vxlan)
})

test('more peers than there are cables are refused', () => {
  const operations = Array.from({ length: limits.cables + 1 }, (_, i) => {
    const key = new Uint8Array(32)
    new DataView(key.buffer).setUint32(0, i + 1)
    return { kind: 'publicKey', key } as const
  })
  const full = applyOperations(emptyTables, operations.slice(1), publicKeyOf)
  assert.ok(full.kind === 'applied' && full.tables.cables.length === limits.cables)
  const over = applyOperations(emptyTables, operations, publicKeyOf)
  assert.ok(over.kind === 'refused' && over.errno === ENOSPC)
})

test('the ciphers of a peer, by keys of ours', () => {
  const ciphersOf = (tables: Tables) => {
    const [cable] = tables.cables
    assert.ok(cable.driver === 'wireguard')
    return cable.ciphers
  }
  const peer = `public_key=${hex('a')}`
  const plain = set(emptyTables, `${peer}\npersistent_keepalive_interval=5`)
  assert.equal(ciphersOf(plain), undefined)
  const auto = set(plain, `${peer}\nhawser_ciphers=auto`)
  assert.deepEqual(ciphersOf(auto), { enabled: 'auto' })
  const both = set(auto, `${peer}\nhawser_remote_ciphers=aes-256-gcm,chacha20-poly1305`)
  const remote = ['aes-256-gcm', 'chacha20-poly1305']
  assert.deepEqual(ciphersOf(both), { enabled: 'auto', remote })
  assert.equal(set(both, `${peer}\nendpoint=192.0.2.1:1`).cables.length, 1)
  assert.deepEqual(ciphersOf(set(both, `${peer}\nendpoint=192.0.2.1:1`)), ciphersOf(both))
  const alone = set(both, `${peer}\nhawser_ciphers=`)
  assert.deepEqual(ciphersOf(alone), { enabled: ['chacha20-poly1305'], remote })
  const neither = `${peer}\nhawser_ciphers=\nhawser_remote_ciphers=`
  assert.equal(ciphersOf(set(alone, neither)), undefined)
})

test('an unknown cipher is refused with the known ones, and none is set', () => {
  for (const line of ['hawser_ciphers=des', 'hawser_remote_ciphers=auto', 'hawser_ciphers=none']) {
    const parser = new RequestParser({ readOnly: false })
    const [request] = parser.feed(Buffer.from(`set=1\npublic_key=${hex('a')}\n${line}\n\n`))
    assert.equal(request.errno, EINVAL)
    assert.match(request.problem, /unknown cipher .* known are chacha20-poly1305, aes-256-gcm/)
  }
  assert.equal(refused(emptyTables, 'hawser_ciphers=auto'), EINVAL)
})
