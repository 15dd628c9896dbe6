// Sends one UDP_SEGMENT train to port 9 (discard) of an IPv4 address and ends: the tracer bullet of
// bench/wires.ts. Runs as a process of its own because it has to be inside a node's namespace.
//
//   node send-train.ts ADDRESS SEGMENTS

import assert from 'node:assert/strict'
import { loadNative } from '../../src/native.ts'
import { createBatch, STATE, TRAIN } from '../../src/packet/batch.ts'
import { createSharedMemory } from '../../src/tables/memory.ts'
import { REMOTE } from '../../src/tables/shared.ts'

const segmentBytes = 1000
const discardPort = 9
const familyIpv4 = 2

const [address, segments] = [process.argv[2], Number(process.argv[3])]
sendTrain(address.split('.').map(Number), segments)

function sendTrain(octets: readonly number[], count: number): void {
  const native = loadNative()
  const shared = createSharedMemory()
  const batch = createBatch(
    { slabBytes: 65_536, rows: 1, trains: 1, pieces: 1, sendSlabBytes: count * segmentBytes },
    shared,
    shared.counters[0],
  )
  const context = native.createContext(batch)
  const socket = native.openUdp({ family: 4, port: 0, fwmark: 0, gro: false, sendOnly: true })
  assert(socket.segmentation, 'this kernel does not know UDP_SEGMENT')
  batch.trains[TRAIN.OFFSET] = 0
  batch.trains[TRAIN.LENGTH] = count * segmentBytes
  batch.trains[TRAIN.SEGMENT_SIZE] = segmentBytes
  batch.trains[TRAIN.FD] = socket.fd
  const remote = new DataView(batch.trains.buffer, TRAIN.REMOTE * 4, REMOTE.BYTES)
  remote.setUint16(REMOTE.FAMILY, familyIpv4, true)
  remote.setUint16(REMOTE.PORT, discardPort, true)
  octets.forEach((octet, index) => {
    remote.setUint8(REMOTE.ADDRESS + index, octet)
  })
  const sent = native.sendUdp(context, 0, 1, 1)
  assert.equal(sent, 1, `sendUdp stopped with errno ${batch.state[STATE.ERRNO]}`)
}
