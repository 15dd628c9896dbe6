// The page that pods of a lab serve on port 80, on both address families: it tells who answers and
// which source address the request arrived with. What is posted is counted: bytes, and how often
// the text in the X-Marker header occurs, so that a sender knows what arrived.
//
// Run by the lab as `node page-server.ts CLUSTER/POD`; says when it serves on descriptor 3.

import { closeSync, writeSync } from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import { flushCompileCache } from 'node:module'
import { countOccurrences } from './occurrences.ts'

// It is killed in the end, and Node writes its cache of compiled code at an orderly end alone.
setTimeout(flushCompileCache, 5000).unref()

const name = process.argv[2]

const server = createServer(async (request, response) => {
  response.setHeader('content-type', 'text/plain; charset=utf-8')
  if (request.method === 'POST') response.end(await receipt(request))
  else response.end(`this is ${name}, you are ${sourceAddress(request)}\n`)
})

server.listen(80, '::', () => {
  writeSync(3, 'ready\n')
  closeSync(3)
})

async function receipt(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  const body = Buffer.concat(chunks)
  const marker = Buffer.from(String(request.headers['x-marker'] ?? ''))
  return `${body.length} bytes, ${countOccurrences(body, marker)} markers\n`
}

function sourceAddress(request: IncomingMessage): string {
  // A dual-stack socket shows IPv4 as ::ffff:192.0.2.1 (RFC 4291 2.5.5.2).
  return String(request.socket.remoteAddress).replace(/^::ffff:/, '')
}
