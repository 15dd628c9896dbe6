// Random tables and statuses for property tests: everything that their types and the limits of
// tables/shared.ts allow, with sizes that stay small.

import fc from 'fast-check'
import { type Address, maskBytes, type Prefix, type Remote } from '../../src/net/address.ts'
import { type CipherTable, cipherNames } from '../../src/tables/cipher.ts'
import type { CableStatus, DatapathStatus } from '../../src/tables/status.ts'
import type { CableTable, DeviceTable, Tables } from '../../src/tables/tables.ts'

function bytesOf(length: number): fc.Arbitrary<Uint8Array> {
  return fc.uint8Array({ minLength: length, maxLength: length })
}

const arbitraryAddress: fc.Arbitrary<Address> = fc.oneof(
  bytesOf(4).map((bytes): Address => ({ family: 4, bytes })),
  bytesOf(16).map((bytes): Address => ({ family: 6, bytes })),
)

const arbitraryPrefix: fc.Arbitrary<Prefix> = arbitraryAddress.chain(({ family, bytes }) =>
  fc
    .integer({ min: 0, max: bytes.length * 8 })
    .map(bits => ({ family, bytes: maskBytes(bytes.slice(), bits), bits })),
)

export const arbitraryRemote: fc.Arbitrary<Remote> = fc
  .record({ address: arbitraryAddress, port: fc.nat(65_535), scope: fc.nat(999_999_999) })
  .map(remote => (remote.address.family === 4 ? { ...remote, scope: 0 } : remote))

const name = fc.stringMatching(/^[A-Za-z0-9+/=_.-]{1,63}$/)
const wholeNumber = fc.nat(Number.MAX_SAFE_INTEGER)

const cableBase = {
  name,
  remote: arbitraryRemote,
  remoteSerial: wholeNumber,
  allowedIps: fc.array(arbitraryPrefix, { maxLength: 8 }),
  mtuBytes: fc.integer({ min: 68, max: 65_535 }),
}

const cipherList = fc.uniqueArray(fc.constantFrom(...cipherNames), { minLength: 1 })
const arbitraryCiphers: fc.Arbitrary<CipherTable> = fc.record(
  { enabled: fc.oneof(fc.constant('auto' as const), cipherList), remote: cipherList },
  { requiredKeys: ['enabled'] },
)

const arbitraryCable: fc.Arbitrary<CableTable> = fc.oneof(
  fc.record(
    {
      ...cableBase,
      driver: fc.constant('wireguard' as const),
      publicKey: bytesOf(32),
      presharedKey: bytesOf(32),
      keepaliveSeconds: fc.nat(65_535),
      ciphers: arbitraryCiphers,
    },
    {
      requiredKeys: [
        ...(['name', 'remoteSerial', 'allowedIps'] as const),
        ...(['driver', 'publicKey', 'keepaliveSeconds'] as const),
      ],
    },
  ),
  fc.record(
    { ...cableBase, driver: fc.constant('vxlan' as const), tunnelAddress: arbitraryAddress },
    { requiredKeys: ['name', 'remoteSerial', 'allowedIps', 'driver', 'tunnelAddress'] },
  ),
)

const vxlanTable = fc.record({
  vni: fc.nat(0xff_ffff),
  address: arbitraryAddress,
  mac: bytesOf(6),
})

const arbitraryDevice: fc.Arbitrary<DeviceTable> = fc.record(
  {
    privateKey: bytesOf(32),
    listenPort: fc.nat(65_535),
    fwmark: fc.nat(0xffff_ffff),
    vxlan: vxlanTable,
  },
  { requiredKeys: ['listenPort', 'fwmark'] },
)

export const arbitraryTables: fc.Arbitrary<Tables> = fc
  .record({
    generation: wholeNumber,
    device: arbitraryDevice,
    cables: fc.uniqueArray(arbitraryCable, { maxLength: 6, selector: cable => cable.name }),
  })
  // A VXLAN cable needs a VXLAN device.
  .map(tables => ({
    ...tables,
    cables: tables.cables.filter(cable => cable.driver !== 'vxlan' || tables.device.vxlan),
  }))

const counts = fc.dictionary(fc.stringMatching(/^[a-z][a-z-]{0,20}$/), wholeNumber, { maxKeys: 6 })
const text = fc.string({ unit: 'grapheme', maxLength: 40 })

const arbitraryCableStatus: fc.Arbitrary<CableStatus> = fc.record(
  {
    name: text,
    driver: fc.constantFrom('wireguard' as const, 'vxlan' as const),
    remote: arbitraryRemote,
    cipher: fc.constantFrom(...cipherNames),
    lastHandshakeMs: wholeNumber,
    rxBytes: wholeNumber,
    txBytes: wholeNumber,
    counters: counts,
    drops: counts,
  },
  {
    requiredKeys: ['name', 'driver', 'lastHandshakeMs', 'rxBytes', 'txBytes', 'counters', 'drops'],
  },
)

export const arbitraryStatus: fc.Arbitrary<DatapathStatus> = fc.record({
  interfaceName: text,
  up: fc.boolean(),
  mtuBytes: fc.nat(65_535),
  generation: wholeNumber,
  listenPort: fc.nat(65_535),
  fwmark: fc.nat(0xffff_ffff),
  pid: fc.nat(4_194_304),
  pairs: fc.constantFrom(1, 2, 4, 8),
  startedAtMs: fc.double({ min: 0, max: 2 ** 52, noNaN: true, noDefaultInfinity: true }),
  offloads: fc.record({
    tunTso: fc.boolean(),
    tunUso: fc.boolean(),
    udpSegmentation: fc.boolean(),
    udpGro: fc.boolean(),
    reasons: fc.dictionary(fc.constantFrom('tunTso', 'tunUso', 'udpSegmentation', 'udpGro'), text),
  }),
  aead: fc.record({
    speeds: fc.array(
      fc.record({ name: fc.constantFrom(...cipherNames), nsPerPacket: wholeNumber }),
      { maxLength: 2 },
    ),
    forms: fc.array(text, { maxLength: 3 }),
  }),
  receiveBufferBytes: wholeNumber,
  sendBufferBytes: wholeNumber,
  cables: fc.array(arbitraryCableStatus, { maxLength: 5 }),
  counters: counts,
  drops: counts,
})
