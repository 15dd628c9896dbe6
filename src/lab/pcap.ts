// Reads what `tcpdump -w -` writes (the classic pcap format, draft-ietf-opsawg-pcap) far enough to
// say what crossed the wire between two gateways: how many bytes their cable's datagrams carried
// and whether a text can be read in any frame at all, whatever protocol it is in.
//
//   file   magic 4, version 4, zone 4, figures 4, snap length 4, link type 4 (1: Ethernet)
//   frame  seconds 4, microseconds 4, captured length 4, original length 4, bytes

import { countOccurrences } from './occurrences.ts'

export interface CaptureQuestion {
  /** Source and destination of the cable's datagrams, IPv4 in network order. */
  readonly source: Uint8Array
  readonly destination: Uint8Array
  /** Destination port of the cable's datagrams. */
  readonly port: number
  readonly marker: Uint8Array
}

export interface CaptureSummary {
  readonly frames: number
  /** Frames that are longer than what was captured of them. */
  readonly cutFrames: number
  /** UDP payload of the datagrams asked for. */
  readonly cableBytes: number
  readonly cableFrames: number
  /** Occurrences of the marker in all frames. */
  readonly markers: number
}

const fileHeaderBytes = 24
const frameHeaderBytes = 16

/** Counts over whole frames; half a frame at the end is left alone. Throws on another format. */
export function summarizeCapture(file: Buffer, question: CaptureQuestion): CaptureSummary {
  if (file.length < fileHeaderBytes) throw new Error('the capture is empty')
  if (file.readUInt32LE(0) !== 0xa1b2c3d4 || file.readUInt32LE(20) !== 1)
    throw new Error('the capture is not a little-endian pcap file of Ethernet frames')
  const summary = { frames: 0, cutFrames: 0, cableBytes: 0, cableFrames: 0, markers: 0 }
  for (let at = fileHeaderBytes; at + frameHeaderBytes <= file.length; ) {
    const captured = file.readUInt32LE(at + 8)
    const original = file.readUInt32LE(at + 12)
    at += frameHeaderBytes
    if (at + captured > file.length) break
    const frame = file.subarray(at, at + captured)
    at += captured
    const payload = cablePayloadBytes(frame, question)
    summary.frames++
    if (captured < original) summary.cutFrames++
    if (payload > 0) summary.cableFrames++
    summary.cableBytes += payload
    summary.markers += countOccurrences(frame, question.marker)
  }
  return summary
}

/** UDP payload bytes of an Ethernet + IPv4 + UDP frame that is asked for, else 0. */
function cablePayloadBytes(frame: Buffer, question: CaptureQuestion): number {
  const ip = 14
  if (frame.length < ip + 28 || frame.readUInt16BE(12) !== 0x0800) return 0
  const udp = ip + (frame[ip] & 15) * 4
  if (frame[ip + 9] !== 17 || frame.length < udp + 8) return 0
  if (!question.source.every((byte, i) => frame[ip + 12 + i] === byte)) return 0
  if (!question.destination.every((byte, i) => frame[ip + 16 + i] === byte)) return 0
  if (frame.readUInt16BE(udp + 2) !== question.port) return 0
  // A train of datagrams is captured as one frame before it is cut: its IP length covers all.
  return Math.max(0, ip + frame.readUInt16BE(ip + 2) - udp - 8)
}
