// The embedded API as tests use it: served over TLS from a directory that goes away with the test; or
// without HTTP, with a clock that is set and chance from a seed.

import type { TestContext } from 'node:test'
import { Api } from '../../src/apiserver/api.ts'
import type { Body } from '../../src/apiserver/body.ts'
import { setUpBroker } from '../../src/apiserver/broker-setup.ts'
import { brokerKinds, labKinds } from '../../src/apiserver/kinds.ts'
import { setUpLab } from '../../src/apiserver/lab-setup.ts'
import { ensureAccount, type RunningApi, runApi } from '../../src/apiserver/running.ts'
import { type Log, MemoryLog } from '../../src/apiserver/store.ts'
import { objectName } from '../../src/kube/names.ts'
import { type Prefix, parsePrefix } from '../../src/net/address.ts'
import { systemClock } from '../../src/net/clock.ts'
import { seededRandom } from './rng.ts'
import { temporaryDirectory } from './temporary.ts'

export type Mode = 'broker' | 'lab'

export interface ServedApi extends RunningApi {
  readonly url: string
  readonly directory: string
  /** Of an admin. */
  readonly token: string
}

export interface ServedOptions {
  readonly bookmarkMs?: number
  readonly watchesMost?: number
  readonly heldBytesMost?: number
  readonly directory?: string
  readonly port?: number
}

export const serviceCidrs: readonly Prefix[] = ['10.45.0.0/16', 'fd45::/112'].map(parsePrefix)

/** Serves on loopback until the test is over, or is closed before. */
export async function serveApi(
  context: TestContext,
  mode: Mode,
  options: ServedOptions = {},
): Promise<ServedApi> {
  const { directory = temporaryDirectory(context), port = 0, ...more } = options
  const failures: string[] = []
  const running = await runApi({
    ...{ directory, port, host: '127.0.0.1', names: ['127.0.0.1', 'localhost'] },
    kinds: mode === 'lab' ? labKinds() : brokerKinds(),
    brokerNamespace: objectName.brokerNamespace,
    serviceCidrs: mode === 'lab' ? serviceCidrs : [],
    clock: systemClock,
    report: line => failures.push(line),
    ...more,
  })
  let isOpen = true
  const close = async () => {
    if (isOpen) await running.close()
    isOpen = false
  }
  context.after(async () => {
    await close()
    if (failures.length > 0) throw new Error(failures.join('\n'))
  })
  const url = `https://127.0.0.1:${running.port}`
  return { ...running, close, url, directory, token: setUp(running.api, mode, url) }
}

/** The token of an admin. */
function setUp(api: Api, mode: Mode, url: string): string {
  if (mode === 'lab') return setUpLab(api, serviceCidrs).admin
  const namespace = objectName.brokerNamespace
  const rest = { components: ['connectivity'], customDomains: [], ca: '' }
  return new TextDecoder().decode(setUpBroker(api, { namespace, url, ...rest }).token.token)
}

/** What an answer of the API without HTTP says. */
export interface BareAnswer {
  readonly status: number
  readonly body: Body
  readonly warnings: readonly string[]
}

/** The API without HTTP. */
export class BareApi {
  readonly api: Api
  nowMs = Date.parse('2026-11-28T12:00:00Z')
  readonly token: string

  constructor(mode: Mode, log: Log = new MemoryLog(), seed = 1) {
    const rng = seededRandom(seed)
    const random = (bytes: number) =>
      Uint8Array.from({ length: bytes }, () => Math.floor(rng() * 256))
    let uids = 0
    this.api = new Api({
      kinds: mode === 'lab' ? labKinds() : brokerKinds(),
      log,
      around: { nowMs: () => this.nowMs, uuid: () => `uid-${++uids}`, random },
      brokerNamespace: objectName.brokerNamespace,
      serviceCidrs: mode === 'lab' ? serviceCidrs : [],
      ca: 'the CA',
    })
    this.token = setUp(this.api, mode, 'https://broker.test')
  }

  /** The token of an account of that name. */
  account(namespace: string, name: string, annotations: Record<string, string> = {}): string {
    return ensureAccount(this.api, namespace, name, annotations)
  }

  call(method: string, path: string, body?: unknown, options: CallOptions = {}): BareAnswer {
    const [route, query = ''] = path.split('?')
    const patchType = 'application/merge-patch+json'
    const answer = this.api.handle({
      ...{ method, path: route, query: new URLSearchParams(query) },
      accept: options.accept ?? 'application/json',
      contentType: options.contentType ?? (method === 'PATCH' ? patchType : 'application/json'),
      authorization: `Bearer ${options.token ?? this.token}`,
      body: body === undefined ? '' : JSON.stringify(body),
    })
    if (answer.kind !== 'text') throw new Error(`the answer is a ${answer.kind}`)
    const { status, text, warnings } = answer
    return { status, body: JSON.parse(text) as Body, warnings }
  }

  /** What a watch has to say now. */
  watch(path: string, token = this.token): () => readonly Body[] {
    const [route, query = ''] = path.split('?')
    const answer = this.api.handle({
      ...{ method: 'GET', path: route, query: new URLSearchParams(`watch=true&${query}`) },
      ...{ accept: '', contentType: '', authorization: `Bearer ${token}`, body: '' },
    })
    if (answer.kind === 'frame') return () => [JSON.parse(answer.text) as Body]
    if (answer.kind !== 'watch') throw new Error(answer.text)
    return () => {
      const frames: Body[] = []
      for (let next = answer.watch.next(); next.kind !== 'none'; next = answer.watch.next()) {
        if (next.kind === 'lost') throw new Error('the watch is lost')
        frames.push(JSON.parse(next.text) as Body)
      }
      return frames
    }
  }
}

interface CallOptions {
  readonly accept?: string
  readonly contentType?: string
  readonly token?: string
}
