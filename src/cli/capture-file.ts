// Makes a pcapng section of the blocks that a data path sends: an interface for each cable and stage,
// named when its first packet comes; packets of both directions in the order of time; secrets in front
// of the handshake that they belong to; statistics at the end. Pure: bytes go to whoever writes them.

import {
  ethernetBytes,
  interfaceBlock,
  packetBlock,
  secretsBlock,
  sectionBlock,
  statisticsBlock,
} from '../capture/pcapng.ts'
import { RECORD, stage, stageNames } from '../capture/record.ts'
import { packetsOf, recordsOf, storedOf, wordsOf } from '../capture/segments.ts'
import type { CaptureBlock } from '../tables/capture.ts'
import { dropNames } from '../tables/counters.ts'
import type { Tables } from '../tables/tables.ts'

export interface SectionOptions {
  readonly application: string
  /** Of a packet, from its IP header on. */
  readonly snaplenBytes: number
  readonly filter: string
  /** With keys, when secrets were asked for. */
  readonly tables?: Tables
}

interface Interface {
  readonly number: number
  packets: number
  seconds: number
  nanos: number
}

export class CaptureSection {
  readonly #options: SectionOptions
  readonly #names = new Map<number, string>()
  readonly #interfaces = new Map<string, Interface>()
  /** Packets that were lost, by the name of the interface, since the capture began. */
  readonly #lost = new Map<string, number>()
  /** The same when this file began. */
  #lostBefore = new Map<string, number>()
  #packets = 0

  constructor(options: SectionOptions) {
    this.#options = options
  }

  /** Packets in all files. */
  get packets(): number {
    return this.#packets
  }

  get lost(): number {
    return [...this.#lost.values()].reduce((sum, count) => sum + count, 0)
  }

  /** What a file starts with. */
  begin(): Uint8Array {
    this.#interfaces.clear()
    this.#lostBefore = new Map(this.#lost)
    return sectionBlock(this.#options.application)
  }

  /** The blocks of what was captured, of at most so many packets. */
  *take(block: CaptureBlock, packetsMost: number): Generator<Uint8Array> {
    for (const [index, name] of block.cables) this.#names.set(index, name)
    for (const lost of block.lost)
      this.#lost.set(this.#interfaceName(lost.cable, lost.stage), lost.count)
    let left = packetsMost
    for (const { bytes, word } of inOrder(block)) {
      const words = wordsOf(bytes)
      if (words[word + RECORD.STAGE] === stage.secret) {
        yield* this.#secrets(words[word + RECORD.CABLE], storedOf(bytes, word))
        continue
      }
      for (const packet of this.#packetBlocks(bytes, word)) {
        if (left <= 0) return
        if (packet.isPacket) {
          left--
          this.#packets++
        }
        yield packet.bytes
      }
    }
  }

  /** What a file ends with. */
  *end(): Generator<Uint8Array> {
    for (const name of this.#lost.keys()) {
      if (!this.#interfaces.has(name) && this.#lostHere(name) > 0) yield* this.#open(name)
    }
    for (const [name, found] of this.#interfaces) {
      const lost = this.#lostHere(name)
      const { number, seconds, nanos, packets } = found
      yield statisticsBlock(number, seconds, nanos, packets + lost, lost)
    }
  }

  *#packetBlocks(
    bytes: Uint8Array,
    word: number,
  ): Generator<{ bytes: Uint8Array; isPacket: boolean }> {
    const words = wordsOf(bytes)
    const cable = words[word + RECORD.CABLE]
    const name = this.#interfaceName(cable, words[word + RECORD.STAGE])
    for (const opened of this.#open(name)) yield { bytes: opened, isPacket: false }
    const found = this.#interfaces.get(name)
    if (found === undefined) return
    found.seconds = words[word + RECORD.SECONDS] >>> 0
    found.nanos = words[word + RECORD.NANOS]
    const drop = words[word + RECORD.DROP]
    const owner = this.#names.has(cable) ? `cable ${this.#names.get(cable)}` : 'no cable'
    const comment = drop > 0 ? `${owner}, dropped: ${dropNames[drop] ?? drop}` : owner
    for (const packet of packetsOf(bytes, word, this.#options.snaplenBytes)) {
      found.packets++
      const block = packetBlock({
        interfaceNumber: found.number,
        seconds: found.seconds,
        nanos: found.nanos,
        isOutbound: words[word + RECORD.OUTBOUND] === 1,
        bytes: packet.bytes,
        lengthBytes: packet.lengthBytes,
        comment,
      })
      yield { bytes: block, isPacket: true }
    }
  }

  /** The block of an interface that this file does not have yet. */
  *#open(name: string): Generator<Uint8Array> {
    if (this.#interfaces.has(name)) return
    const number = this.#interfaces.size
    this.#interfaces.set(name, { number, packets: 0, seconds: 0, nanos: 0 })
    const { snaplenBytes, filter } = this.#options
    yield interfaceBlock({
      name,
      description: name.endsWith(stageNames[stage.wire])
        ? 'datagrams between gateways; of their IP and UDP headers addresses, ports and TOS are true'
        : 'packets of the pods; the Ethernet header is made up',
      snaplenBytes: ethernetBytes + snaplenBytes,
      filter,
    })
  }

  /** The lines of a key log (packet-wireguard.c of Wireshark); the preshared key is the ephemeral's. */
  *#secrets(cable: number, ephemeral: Uint8Array): Generator<Uint8Array> {
    const { tables } = this.#options
    const table = tables?.cables.find(({ name }) => name === this.#names.get(cable))
    if (table?.driver !== 'wireguard' || tables?.device.privateKey === undefined) return
    const lines = [
      ['LOCAL_STATIC_PRIVATE_KEY', tables.device.privateKey],
      ['REMOTE_STATIC_PUBLIC_KEY', table.publicKey],
      ['LOCAL_EPHEMERAL_PRIVATE_KEY', ephemeral],
      ['PRESHARED_KEY', table.presharedKey],
    ] as const
    const text = lines
      .flatMap(([name, key]) => (key ? [`${name} = ${Buffer.from(key).toString('base64')}\n`] : []))
      .join('')
    yield secretsBlock(new TextEncoder().encode(text))
  }

  #interfaceName(cable: number, stageCode: number): string {
    const owner = this.#names.get(cable) ?? 'no cable'
    return `${owner} ${stageNames[stageCode] ?? 'secrets'}`
  }

  #lostHere(name: string): number {
    return (this.#lost.get(name) ?? 0) - (this.#lostBefore.get(name) ?? 0)
  }
}

interface Place {
  readonly bytes: Uint8Array
  readonly word: number
}

/** The records of both workers by their instants; each worker's are in order. */
function* inOrder(block: CaptureBlock): Generator<Place> {
  const { outbound, inbound } = block
  const [outWords, inWords] = [wordsOf(outbound), wordsOf(inbound)]
  const [out, into] = [recordsOf(outbound), recordsOf(inbound)]
  let [o, i] = [0, 0]
  while (o < out.length || i < into.length) {
    const isOut =
      i === into.length || (o < out.length && isEarlier(outWords, out[o], inWords, into[i]))
    yield isOut ? { bytes: outbound, word: out[o++] } : { bytes: inbound, word: into[i++] }
  }
}

function isEarlier(a: Int32Array, atA: number, b: Int32Array, atB: number): boolean {
  const seconds = (a[atA + RECORD.SECONDS] >>> 0) - (b[atB + RECORD.SECONDS] >>> 0)
  return seconds < 0 || (seconds === 0 && a[atA + RECORD.NANOS] < b[atB + RECORD.NANOS])
}
