// What the path does for one packet or superpacket, function by function: `node bench/micro.ts`.
// Single-threaded and without I/O: for comparing two versions of a function on one machine, not for
// figures to quote.

import { Bench } from 'tinybench'
import { parsePrefix } from '../src/net/address.ts'
import { ROW_HEADROOM, STATE } from '../src/packet/batch.ts'
import { PacketView } from '../src/packet/packet-view.ts'
import { buildTrie, PrefixTrie } from '../src/routing/prefix-trie.ts'
import { method } from '../src/tables/shared.ts'
import { publishSlot } from '../test/support/key-slots.ts'
import { createTestContext, setRow } from '../test/support/native-context.ts'
import { inSlab, ipv4, ipv6, pattern, tcp } from '../test/support/packets.ts'

const bench = new Bench({ time: 500, warmupTime: 200 })

const packet4 = ipv4({ source: '10.1.0.1', destination: '10.2.0.1' }, tcp())
const packet6 = ipv6({ source: 'fd00:1::1', destination: 'fd00:2::1' }, tcp())
const view4 = new PacketView(inSlab(packet4))
const view6 = new PacketView(inSlab(packet6))
bench.add('decode IPv4', () => view4.decode(64, packet4.length))
bench.add('decode IPv6', () => view6.decode(64, packet6.length))
view4.decode(64, packet4.length)
bench.add('flow hash IPv4', () => view4.flowHash())

const trie = new PrefixTrie(
  buildTrie(
    Array.from({ length: 1000 }, (_, i) => ({
      prefix: parsePrefix(`10.${i >> 2}.${(i & 3) * 64}.0/18`),
      value: i,
    })),
  ),
)
bench.add('route, 1 000 prefixes', () => trie.lookup4(view4.destination4))

/** One row sealed again and again with a cipher, or put into VXLAN. */
function addSeal(name: string, methodCode: number, payloadBytes: number, segmentBytes: number) {
  const { native, context, memory, shared } = createTestContext()
  publishSlot(shared, { slot: 1, method: methodCode, localIndex: 7 })
  const packet = ipv4({}, tcp({ payload: pattern(payloadBytes) }))
  memory.slab.set(packet, ROW_HEADROOM)
  const isSuper = payloadBytes > segmentBytes
  const segments = Math.ceil(payloadBytes / segmentBytes)
  bench.add(`${name}, ${segments} x ${Math.min(payloadBytes, segmentBytes)} B`, () => {
    memory.state[STATE.TRAINS] = 0
    memory.state[STATE.SEND_BYTES] = 0
    setRow(memory, 0, {
      ...{ OFFSET: ROW_HEADROOM, LENGTH: packet.length, SLOT: 1, SEGMENTS: segments },
      ...{ FD: 3, PAD: 1420 | (128 << 16), CSUM: 20 | (16 << 16) },
      ...(isSuper ? { GSO: 1, GSO_SIZE: segmentBytes, HEADER_LENGTH: 40 } : {}),
    })
    native.seal(context, 0, 1)
  })
}

for (const [payloadBytes, segmentBytes] of [
  [45 * 1380, 1380],
  [1380, 1380],
  [52, 1380],
] as const) {
  addSeal('seal ChaCha20-Poly1305', method.chacha20Poly1305, payloadBytes, segmentBytes)
  addSeal('seal AES-256-GCM', method.aes256Gcm, payloadBytes, segmentBytes)
  addSeal('encapsulate VXLAN', method.vxlan, payloadBytes, segmentBytes)
}

await bench.run()
console.table(bench.table())
