// What the data path's socket says about captures (docs/wire.md): the request, and the blocks that are
// pushed until the connection ends. Records go through as they are.

import {
  type CaptureBlock,
  type CaptureRequest,
  captureLimits,
  type LostPackets,
} from '../tables/capture.ts'
import { limits } from '../tables/shared.ts'
import { plainBody } from './codec.ts'
import {
  type Fields,
  has,
  invalid,
  readBoolean,
  readBytes,
  readInteger,
  readList,
  readObject,
  readText,
} from './fields.ts'
import { type Body, frameBytesMax } from './frames.ts'
import { TrailerWriter } from './trailer.ts'

const fields = ['cables', 'filter', 'snaplenBytes', 'whole', 'inner', 'wire', 'keys']

export function encodeCaptureRequest(request: CaptureRequest): Body {
  return plainBody(request)
}

export function decodeCaptureRequest(body: Body): CaptureRequest {
  const head = readObject(body.head, '', body.trailer, fields)
  const { least, most } = captureLimits.snaplenBytes
  return {
    ...(has(head, 'cables') ? { cables: readNames(head) } : {}),
    filter: has(head, 'filter') ? readText(head, 'filter') : '',
    snaplenBytes: readInteger(head, 'snaplenBytes', least, most, most),
    whole: readBoolean(head, 'whole', false),
    inner: readBoolean(head, 'inner', true),
    wire: readBoolean(head, 'wire', true),
    keys: readBoolean(head, 'keys', false),
  }
}

export function encodeCaptureBlock(block: CaptureBlock): Body {
  const trailer = new TrailerWriter()
  return trailer.body({
    outbound: trailer.add(block.outbound),
    inbound: trailer.add(block.inbound),
    cables: block.cables,
    lost: block.lost.map(({ cable, stage, count }) => [cable, stage, count]),
  })
}

export function decodeCaptureBlock(body: Body): CaptureBlock {
  const head = readObject(body.head, 'capture', body.trailer)
  return {
    outbound: readBytes(head, 'outbound', 0, frameBytesMax),
    inbound: readBytes(head, 'inbound', 0, frameBytesMax),
    cables: readList(head, 'cables', limits.cables).map(entry => {
      const [index, name] = entry as [number, string]
      return [Number(index), String(name)]
    }),
    lost: readList(head, 'lost', 4 * limits.cables).map((entry): LostPackets => {
      const [cable, stage, count] = entry as number[]
      return { cable: Number(cable), stage: Number(stage), count: Number(count) }
    }),
  }
}

function readNames(head: Fields): string[] {
  return readList(head, 'cables', limits.cables).map(name => {
    if (typeof name === 'string') return name
    throw invalid('cables', 'expected names')
  })
}
