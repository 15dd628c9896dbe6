// A data path's socket in a directory of its own, and a client that speaks in raw bytes.

import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { DatapathClient } from '../../src/wire/client.ts'
import {
  encodeFrame,
  type Frame,
  FrameReader,
  frameBytesMax,
  frameType,
  parseHead,
} from '../../src/wire/frames.ts'
import { startWireServer, type WireServer } from '../../src/wire/server.ts'
import { ScriptedDatapath } from './scripted-datapath.ts'
import { temporaryDirectory } from './temporary.ts'

export interface ServedWire {
  readonly path: string
  readonly datapath: ScriptedDatapath
  readonly server: WireServer
  readonly lines: string[]
  /** A client that is closed when the test ends. */
  attach(): Promise<DatapathClient>
}

/** `uid`: that of every client, as the kernel would tell it. */
export async function serveWire(
  context: TestContext,
  uid = process.getuid?.() ?? 0,
): Promise<ServedWire> {
  const path = join(temporaryDirectory(context), 'gw0.sock')
  const datapath = new ScriptedDatapath()
  const lines: string[] = []
  const server = await startWireServer({
    path,
    datapath,
    peerCredentials: () => ({ uid, pid: 1 }),
    log: line => lines.push(line),
  })
  context.after(() => server.close())
  const attach = async () => {
    const client = await DatapathClient.connect(path)
    context.after(() => client.close())
    return client
  }
  return { path, datapath, server, lines, attach }
}

/** Says whatever a test wants it to say, and keeps what it is told until the other side closes. */
export class RawClient {
  readonly socket: Socket
  readonly #reader = new FrameReader(frameBytesMax)
  readonly frames: { type: number; id: number; head: unknown }[] = []
  closed = false

  constructor(path: string) {
    this.socket = connect({ path, allowHalfOpen: true })
    this.socket.on('data', chunk => {
      this.#reader.push(chunk)
      for (let frame = this.#reader.next(); frame; frame = this.#reader.next()) this.#keep(frame)
    })
    this.socket.on('error', () => undefined)
    this.socket.on('end', () => this.socket.destroy())
    this.socket.on('close', () => {
      this.closed = true
    })
  }

  send(type: number, id: number, head: unknown, trailer = new Uint8Array(0)): void {
    this.socket.write(encodeFrame(type, id, { head, trailer }))
  }

  hello(): void {
    this.send(frameType.hello, 1, { oldest: 1, newest: 1 })
  }

  #keep(frame: Frame): void {
    this.frames.push({ type: frame.type, id: frame.id, head: parseHead(frame) })
  }
}
