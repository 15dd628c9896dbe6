import assert from 'node:assert/strict'
import { createPrivateKey, createPublicKey } from 'node:crypto'
import { test } from 'node:test'
import { labTables } from '../../../src/lab/cables.ts'
import { planLab } from '../../../src/lab/topology.ts'
import { formatAddress, formatPrefix, formatRemote } from '../../../src/net/address.ts'

const clusters = 4

test('a WireGuard lab is a full mesh whose two ends agree on keys', () => {
  const plan = planLab({ name: 'test', driver: 'wireguard', clusters })
  const tables = labTables(plan)
  assert.equal(tables.length, clusters)
  const publicKeys = tables.map(({ device }) => publicKeyOf(device.privateKey))
  assert.equal(new Set(publicKeys).size, clusters)
  for (const [own, { cables }] of tables.entries()) {
    const ownName = plan.clusterPlans[own].name
    assert.equal(cables.length, clusters - 1)
    for (const cable of cables) {
      const other = plan.clusterPlans.findIndex(({ name }) => name === cable.name)
      const back = tables[other].cables.find(({ name }) => name === ownName)
      assert.ok(cable.driver === 'wireguard' && back?.driver === 'wireguard')
      assert.equal(Buffer.from(cable.publicKey).toString('base64url'), publicKeys[other])
      assert.deepEqual(cable.presharedKey, back.presharedKey)
      const { podCidr, podCidr6, wireAddress } = plan.clusterPlans[other]
      assert.deepEqual(cable.allowedIps.map(formatPrefix), [podCidr, podCidr6])
      assert.ok(cable.remote)
      assert.equal(formatRemote(cable.remote), `${wireAddress}:4500`)
    }
  }
})

test('no two pairs share a preshared key, and no two labs share any', () => {
  const plan = planLab({ name: 'test', driver: 'wireguard', clusters })
  const secrets = [...labTables(plan), ...labTables(plan)].flatMap(({ device, cables }) => [
    device.privateKey,
    ...cables.map(cable => (cable.driver === 'wireguard' ? cable.presharedKey : undefined)),
  ])
  const texts = secrets.map(secret => Buffer.from(secret ?? []).toString('hex'))
  // Each preshared key is held by its two ends.
  const pairs = (clusters * (clusters - 1)) / 2
  assert.equal(new Set(texts).size, 2 * (clusters + pairs))
})

test('a VXLAN lab uses the tunnel addresses of the stock driver and one MAC for each gateway', () => {
  const plan = planLab({ name: 'test', driver: 'vxlan', clusters })
  const tables = labTables(plan)
  const own = tables.map(({ device }) => device.vxlan)
  assert.deepEqual(
    own.map(vxlan => vxlan && formatAddress(vxlan.address)),
    ['241.0.2.1', '241.0.2.2', '241.0.2.3', '241.0.2.4'],
  )
  assert.ok(own.every(vxlan => vxlan?.vni === 1000))
  const macs = own.map(vxlan => Buffer.from(vxlan?.mac ?? []))
  assert.equal(new Set(macs.map(mac => mac.toString('hex'))).size, clusters)
  // Locally administered, not multicast.
  assert.ok(macs.every(mac => mac.length === 6 && (mac[0] & 3) === 2))
  const [toWest] = tables[0].cables
  assert.ok(toWest.driver === 'vxlan')
  assert.equal(formatAddress(toWest.tunnelAddress), '241.0.2.2')
})

function publicKeyOf(privateKey: Uint8Array | undefined): string | undefined {
  // The PKCS #8 wrapping of a raw X25519 key (RFC 8410 section 7).
  const prefix = Buffer.from('302e020100300506032b656e04220420', 'hex')
  const der = Buffer.concat([prefix, privateKey ?? new Uint8Array()])
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  return createPublicKey(key).export({ format: 'jwk' }).x
}

test('both ends of a cable are told the ciphers of the lab', () => {
  const every = ['chacha20-poly1305', 'aes-256-gcm'] as const
  const one = ['aes-256-gcm'] as const
  const base = { name: 'test', driver: 'wireguard', clusters } as const
  for (const [options, expected] of [
    [base, undefined],
    [
      { ...base, cipher: 'auto' as const },
      { enabled: 'auto', remote: every },
    ],
    [
      { ...base, cipher: one },
      { enabled: one, remote: one },
    ],
  ] as const) {
    for (const { cables } of labTables(planLab(options))) {
      for (const cable of cables) {
        assert.ok(cable.driver === 'wireguard')
        assert.deepEqual(cable.ciphers, expected)
      }
    }
  }
  assert.throws(() => planLab({ ...base, driver: 'vxlan', cipher: 'auto' }), /has no cipher/)
})
