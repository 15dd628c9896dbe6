// Makes initiations ahead of a flood (bench/initiations.ts): about 100 µs of one core for each.
//
//   node prepare-initiations.ts FLEET_FILE OUT_FILE FIRST END

import { randomFillSync } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { loadNative } from '../../src/native.ts'
import { type FleetFile, initiatorsOf, recordBytes, writeRecord } from '../initiations.ts'

const [fleetFile, outFile] = process.argv.slice(2)
const [first, end] = process.argv.slice(4).map(Number)
const initiators = initiatorsOf(JSON.parse(readFileSync(fleetFile, 'utf8')) as FleetFile)
const { handshakeAead } = loadNative()
const seconds = Math.floor(Date.now() / 1000)
const random = (bytes: Uint8Array) => void randomFillSync(bytes)

const records = new Uint8Array((end - first) * recordBytes)
for (let number = first; number < end; number++) {
  const at = (number - first) * recordBytes
  const record = records.subarray(at, at + recordBytes)
  const round = Math.floor(number / initiators.length)
  const initiator = initiators[number % initiators.length]
  writeRecord(handshakeAead, initiator, record, number, round, seconds, random)
}
writeFileSync(outFile, records, { mode: 0o600 })
