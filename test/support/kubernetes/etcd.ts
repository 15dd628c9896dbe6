// The etcd of the servers: one for all of them, without fsync, spoken to through its HTTP gateway.

import { Daemon } from './daemon.ts'
import { freePort } from './ports.ts'
import type { Scratch } from './scratch.ts'

export class Etcd {
  readonly url: string
  readonly daemon: Daemon

  private constructor(url: string, daemon: Daemon) {
    this.url = url
    this.daemon = daemon
  }

  static async start(binaries: string, address: string, scratch: Scratch): Promise<Etcd> {
    const url = `http://${address}:${await freePort(address)}`
    const peer = `http://${address}:${await freePort(address)}`
    const command = [
      `${binaries}/etcd`,
      ...['--name', 'test', '--data-dir', scratch.path('etcd'), '--unsafe-no-fsync'],
      ...['--listen-client-urls', url, '--advertise-client-urls', url],
      ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer],
      ...['--initial-cluster', `test=${peer}`, '--log-level', 'error'],
    ]
    const etcd = new Etcd(url, new Daemon(command, scratch.path('etcd.log')))
    await etcd.daemon.ready(async () => (await fetch(`${url}/health`)).ok)
    return etcd
  }

  /** Forgets every revision but the newest, as a server does every five minutes. */
  async compact(): Promise<void> {
    const key = Buffer.from('/').toString('base64')
    const { header } = await this.#post<{ header: { revision: string } }>('range', { key })
    await this.#post('compaction', { revision: header.revision, physical: true })
  }

  async #post<T>(call: string, body: object): Promise<T> {
    const answer = await fetch(`${this.url}/v3/kv/${call}`, {
      method: 'POST',
      body: JSON.stringify(body),
    })
    const text = await answer.text()
    if (!answer.ok) throw new Error(`etcd answers ${call} with ${answer.status}: ${text}`)
    return JSON.parse(text) as T
  }
}
