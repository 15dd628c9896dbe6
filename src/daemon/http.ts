// What a gateway shows over HTTP: /metrics, /healthz, /readyz, and /problems as JSON. Plain HTTP on the
// node's port of stock gateways, IPv4 and IPv6; nothing can be changed through it and nothing in it is
// secret. A port that is in use is a line in the log: forwarding does not hang on being watched.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Problem } from '../control/world.ts'
import { type MetricsView, metricsText } from '../metrics/metrics.ts'
import type { Log } from './log.ts'

export interface HttpView extends MetricsView {
  /** Why it is not ready; undefined when it is. */
  readonly unready: string | undefined
}

export interface HttpServer {
  /** 0 when it does not listen. */
  readonly port: number
  close(): Promise<void>
}

interface Answer {
  readonly status: number
  readonly type: string
  readonly text: string
}

const plain = 'text/plain; charset=utf-8'

/** Never rejects. */
export async function startHttp(port: number, view: () => HttpView, log: Log): Promise<HttpServer> {
  const server = createServer((request, response) => {
    void answer(request, view)
      .catch((error: Error) => ({ status: 500, type: plain, text: `${error.message}\n` }))
      .then(found => send(response, request, found))
  })
  server.headersTimeout = 5000
  server.requestTimeout = 5000
  server.maxConnections = 64
  const isOpen = await listen(server, port, log)
  return {
    port: isOpen ? (server.address() as AddressInfo).port : 0,
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

async function answer(request: IncomingMessage, view: () => HttpView): Promise<Answer> {
  const path = (request.url ?? '/').split('?')[0]
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return { status: 405, type: plain, text: 'GET\n' }
  }
  switch (path) {
    case '/metrics':
      return { status: 200, ...(await metricsText(view())) }
    case '/healthz':
      return { status: 200, type: plain, text: 'ok\n' }
    case '/readyz': {
      const { unready } = view()
      return unready === undefined
        ? { status: 200, type: plain, text: 'ok\n' }
        : { status: 503, type: plain, text: `${unready}\n` }
    }
    case '/problems':
      return { status: 200, type: 'application/json', text: problemsText(view().problems) }
    default:
      return { status: 404, type: plain, text: '/metrics /healthz /readyz /problems\n' }
  }
}

function problemsText(problems: readonly Problem[]): string {
  const list = { apiVersion: 'hawser.io/v1alpha1', kind: 'ProblemList', items: problems }
  return `${JSON.stringify(list, undefined, 2)}\n`
}

function send(response: ServerResponse, request: IncomingMessage, found: Answer): void {
  response.writeHead(found.status, {
    'Content-Type': found.type,
    'Content-Length': Buffer.byteLength(found.text),
  })
  response.end(request.method === 'HEAD' ? undefined : found.text)
}

/** Both families in one socket; without IPv6 the other alone. */
async function listen(server: Server, port: number, log: Log): Promise<boolean> {
  for (const host of ['::', '0.0.0.0']) {
    const error = await new Promise<NodeJS.ErrnoException | undefined>(resolve => {
      server.once('error', resolve)
      server.listen(port, host, () => {
        server.off('error', resolve)
        resolve(undefined)
      })
    })
    if (error === undefined) {
      server.on('error', ({ message }) => log.error(`metrics: ${message}`))
      return true
    }
    if (error.code === 'EAFNOSUPPORT' || error.code === 'EADDRNOTAVAIL') continue
    log.error(`metrics are not served: ${error.message}; try: --metrics-port, or free the port`)
    return false
  }
  return false
}
