// The program that makes traffic inside a space; traffic.ts starts it. What it sends is told apart at
// every byte, and it ends with a failure at the first byte that comes back wrong.
//
//   echo PORT                        answers TCP and UDP with what it gets; prints "ready"
//   tcp HOST PORT BYTES STREAMS      sends so much on each stream and reads it back
//   udp HOST PORT COUNT BYTES        the same with datagrams; what is lost is sent again and counted
//   steady HOST PORT BYTES           exchanges messages on one connection for ever, a line for each
//   ask HOST PORT HEX                sends a datagram until it is answered; prints the answer
//   send HOST PORT HEX…              sends datagrams

import { createCipheriv } from 'node:crypto'
import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect, createServer, isIPv6, type Socket } from 'node:net'

const againMs = 500
const windowDatagrams = 16
const chunkBytes = 64 * 1024

const [mode, ...args] = process.argv.slice(2)
const print = (value: unknown) => process.stdout.write(`${JSON.stringify(value)}\n`)

/** An endless stream of bytes that do not repeat, the same for the same number. */
function keystream(number: number): (length: number) => Buffer {
  const iv = Buffer.alloc(16)
  iv.writeUInt32BE(number, 0)
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, 7), iv)
  return length => cipher.update(Buffer.alloc(length))
}

function udpSocket(host: string): UdpSocket {
  const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4')
  socket.on('error', error => fail(`UDP: ${error.message}`))
  return socket
}

function fail(why: string): never {
  process.stderr.write(`${why}\n`)
  process.exit(1)
}

async function echo(port: number): Promise<void> {
  const server = createServer(socket => {
    socket.on('error', () => socket.destroy())
    socket.pipe(socket)
  })
  server.listen(port, '::')
  const udp = createSocket('udp6')
  udp.on('message', (bytes, from) => udp.send(bytes, from.port, from.address))
  udp.bind(port, '::', () => udp.setRecvBufferSize(4 << 20))
  await Promise.all([once(server, 'listening'), once(udp, 'listening')])
  process.stdout.write('ready\n')
}

async function open(host: string, port: number): Promise<Socket> {
  const socket = connect(port, host)
  socket.on('error', error => fail(`TCP: ${error.message}`))
  await once(socket, 'connect')
  return socket
}

/** Resolves when so many bytes came back as they were sent. */
function readBack(socket: Socket, number: number, total: number): Promise<void> {
  const expected = keystream(number)
  let received = 0
  return new Promise(resolve => {
    socket.on('data', chunk => {
      if (!expected(chunk.length).equals(chunk)) fail(`wrong bytes near ${received}`)
      received += chunk.length
      if (received >= total) resolve()
    })
    socket.on('close', () => {
      if (received < total) fail(`closed after ${received} of ${total} bytes`)
    })
  })
}

async function tcpStream(host: string, port: number, total: number, number: number): Promise<void> {
  const socket = await open(host, port)
  const back = readBack(socket, number, total)
  const stream = keystream(number)
  for (let sent = 0; sent < total; sent += chunkBytes) {
    const isTaken = socket.write(stream(Math.min(chunkBytes, total - sent)))
    if (!isTaken) await once(socket, 'drain')
  }
  await back
  socket.destroy()
}

async function udpExchange(host: string, port: number, count: number, bytes: number) {
  const socket = udpSocket(host)
  const waiting = new Map<number, NodeJS.Timeout>()
  let next = 0
  let resent = 0
  const send = (number: number) => {
    const datagram = keystream(number)(bytes)
    datagram.writeUInt32BE(number, 0)
    socket.send(datagram, port, host)
    const again = () => {
      resent++
      send(number)
    }
    waiting.set(number, setTimeout(again, againMs))
  }
  const fill = () => {
    while (next < count && waiting.size < windowDatagrams) send(next++)
  }
  await new Promise<void>(resolve => {
    socket.on('message', datagram => {
      const number = datagram.readUInt32BE(0)
      const expected = keystream(number)(bytes)
      expected.writeUInt32BE(number, 0)
      if (!expected.equals(datagram)) fail(`datagram ${number} came back wrong`)
      clearTimeout(waiting.get(number))
      waiting.delete(number)
      fill()
      if (waiting.size === 0) resolve()
    })
    fill()
  })
  socket.close()
  print({ sent: count, resent })
}

async function steady(host: string, port: number, bytes: number): Promise<void> {
  const socket = await open(host, port)
  for (let number = 0; ; number++) {
    const back = readBack(socket, number, bytes)
    socket.write(keystream(number)(bytes))
    await back
    socket.removeAllListeners('data').removeAllListeners('close')
    print(number)
    // Room for whatever else this machine has to do.
    await new Promise(resolve => setTimeout(resolve, 2))
  }
}

function ask(host: string, port: number, hex: string): void {
  const socket = udpSocket(host)
  const send = () => socket.send(Buffer.from(hex, 'hex'), port, host)
  const timer = setInterval(send, againMs)
  socket.on('message', (bytes, from) => {
    clearInterval(timer)
    socket.close()
    print({ from: from.address, port: from.port, hex: bytes.toString('hex') })
  })
  send()
}

async function send(host: string, port: number, datagrams: readonly string[]): Promise<void> {
  const socket = udpSocket(host)
  for (const hex of datagrams)
    await new Promise(resolve => socket.send(Buffer.from(hex, 'hex'), port, host, resolve))
  socket.close()
}

const [host] = args
const port = Number(args[1])
if (mode === 'echo') await echo(Number(host))
else if (mode === 'tcp') {
  const [bytes, streams] = [Number(args[2]), Number(args[3])]
  const all = Array.from({ length: streams }, (_, i) => tcpStream(host, port, bytes, i))
  await Promise.all(all)
  print({ bytes: bytes * streams })
} else if (mode === 'udp') await udpExchange(host, port, Number(args[2]), Number(args[3]))
else if (mode === 'steady') await steady(host, port, Number(args[2]))
else if (mode === 'ask') ask(host, port, args[2])
else if (mode === 'send') await send(host, port, args.slice(2))
else fail(`no such mode: ${mode}`)
