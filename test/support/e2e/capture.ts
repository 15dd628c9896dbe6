// What crosses an interface, frame by frame, in a space of a test. Recorded by the lab's own program,
// which also works for plain users, in the classic pcap format (draft-ietf-opsawg-pcap).

import type { ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { collect } from '../../../src/lab/process.ts'
import { eventually } from '../eventually.ts'
import type { Spaces } from '../namespaces.ts'
import { type SlowPacket, slowDecode } from '../slow/packet.ts'

const program = fileURLToPath(new URL('../../../src/lab/capture.py', import.meta.url))
const [fileHeaderBytes, frameHeaderBytes, ethernetBytes] = [24, 16, 14]

/** An IP packet, and its bytes. */
export interface CapturedPacket {
  readonly packet: SlowPacket
  readonly bytes: Uint8Array
}

export class Capture {
  readonly #child: ChildProcess
  readonly #output: () => { stdout: Buffer; stderr: Buffer }

  /** Resolves when it sees what crosses the interface from now on. */
  static async start(spaces: Spaces, space: string, interfaceName: string): Promise<Capture> {
    const capture = new Capture(spaces.start(space, ['python3', program, interfaceName]))
    await eventually(
      () => capture.#output().stdout.length >= fileHeaderBytes,
      () => capture.#output().stderr.toString(),
    )
    return capture
  }

  private constructor(child: ChildProcess) {
    this.#child = child
    this.#output = collect(child)
  }

  /** The frames by now, as they were on an Ethernet interface. */
  get frames(): Uint8Array[] {
    const { stdout } = this.#output()
    const frames: Uint8Array[] = []
    for (let at = fileHeaderBytes; at + frameHeaderBytes <= stdout.length; ) {
      const end = at + frameHeaderBytes + stdout.readUInt32LE(at + 8)
      if (end > stdout.length) break
      // A copy, and no Buffer: a slice of those is not one.
      frames.push(new Uint8Array(stdout.subarray(at + frameHeaderBytes, end)))
      at = end
    }
    return frames
  }

  /** The IP packets among the frames for which `wanted` holds. */
  packets(wanted: (packet: SlowPacket) => boolean): CapturedPacket[] {
    return this.frames.flatMap(frame => {
      const bytes = frame.subarray(ethernetBytes)
      const packet = slowDecode(bytes)
      return packet !== undefined && wanted(packet) ? [{ packet, bytes }] : []
    })
  }

  /** Waits until so many packets were seen, and gives them. */
  async until(count: number, wanted: (packet: SlowPacket) => boolean): Promise<CapturedPacket[]> {
    await eventually(
      () => this.packets(wanted).length >= count,
      () => `${this.packets(wanted).length} of ${count} packets, ${this.frames.length} frames`,
    )
    return this.packets(wanted)
  }

  stop(): void {
    this.#child.kill('SIGKILL')
  }
}
