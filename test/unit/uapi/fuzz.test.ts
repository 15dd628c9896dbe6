// Random UAPI conversations: sentences of the grammar, then bytes of them changed, cut, doubled and
// moved. Whatever comes, every request gets an answer that ends in an errno line, the server
// stays up, a refused set changes nothing, and the tables keep their invariants.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { prefixKey } from '../../../src/net/address.ts'
import type { Tables } from '../../../src/tables/tables.ts'
import { listenUapi } from '../../../src/uapi/server.ts'
import { FakeDatapath } from '../../support/fake-datapath.ts'
import { seededRandom, testSeed } from '../../support/rng.ts'
import { temporaryDirectory } from '../../support/temporary.ts'
import { type Answer, UapiClient } from '../../support/uapi-client.ts'

const rounds = 1500

class Grammar {
  readonly #random: () => number

  constructor(random: () => number) {
    this.#random = random
  }

  below(limit: number): number {
    return Math.floor(this.#random() * limit)
  }

  chance(share: number): boolean {
    return this.#random() < share
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]
  }

  conversation(): string {
    let text = ''
    for (let i = this.below(3); i >= 0; i--) {
      text += this.chance(0.2) ? 'get=1\n' : this.#set()
      text += this.chance(0.9) ? '\n' : ''
    }
    return text
  }

  #set(): string {
    let text = 'set=1\n'
    for (let i = this.below(3); i > 0; i--) text += `${this.#deviceLine()}\n`
    for (let i = this.below(4); i > 0; i--) {
      text += `public_key=${this.#key()}\n`
      for (let j = this.below(6); j > 0; j--) text += `${this.#peerLine()}\n`
    }
    return text
  }

  #deviceLine(): string {
    return this.pick([
      `private_key=${this.#key()}`,
      `listen_port=${this.below(65_536)}`,
      `fwmark=${this.below(2 ** 32)}`,
      'replace_peers=true',
    ])
  }

  #peerLine(): string {
    return this.pick([
      'remove=true',
      'update_only=true',
      `preshared_key=${this.#key()}`,
      `endpoint=${this.#address()}:${1 + this.below(65_535)}`,
      `persistent_keepalive_interval=${this.below(65_536)}`,
      'replace_allowed_ips=true',
      `allowed_ip=${this.#prefix()}`,
      `allowed_ip=${this.#prefix()}`,
      `allowed_ip=-${this.#prefix()}`,
      'protocol_version=1',
      this.#deviceLine(),
      'unknown=1',
    ])
  }

  /** Few different ones, so that sections meet the same peers. */
  #key(): string {
    return this.pick(['00', '01', '02', '03', 'aa', 'ff']).repeat(32)
  }

  #address(): string {
    return this.pick(['192.0.2.1', '[2001:db8::1]', '[fe80::1%3]', '127.0.0.1', '[::]'])
  }

  #prefix(): string {
    return this.chance(0.5)
      ? `10.${this.below(3)}.0.0/${8 + this.below(25)}`
      : `fd00:${this.below(3)}::/${this.below(129)}`
  }
}

function mutated(text: string, grammar: Grammar): Uint8Array {
  let bytes = [...Buffer.from(text, 'latin1')]
  for (let i = grammar.below(4); i > 0 && bytes.length > 0; i--) {
    const at = grammar.below(bytes.length)
    const length = 1 + grammar.below(20)
    switch (grammar.below(6)) {
      case 0:
        bytes[at] = grammar.below(256)
        break
      case 1:
        bytes[at] ^= 1 << grammar.below(8)
        break
      case 2:
        bytes.splice(at, length)
        break
      case 3:
        bytes.splice(at, 0, ...bytes.slice(at, at + length))
        break
      case 4:
        bytes = bytes.slice(0, at)
        break
      default:
        bytes.splice(at, 0, grammar.pick([0x0a, 0x3d, 0x00, 0xff, 0x2d]))
    }
  }
  return Uint8Array.from(bytes)
}

function checkInvariants(tables: Tables): void {
  const names = new Set<string>()
  const owners = new Set<string>()
  let count = 0
  for (const cable of tables.cables) {
    names.add(cable.name)
    for (const prefix of cable.allowedIps) owners.add(prefixKey(prefix))
    count += cable.allowedIps.length
  }
  assert.equal(names.size, tables.cables.length, 'names are unique')
  assert.equal(owners.size, count, 'a prefix has one owner')
}

/** Sends the bytes in pieces, then the end of the stream, and reads to the end. */
async function converse(path: string, bytes: Uint8Array, grammar: Grammar): Promise<Answer[]> {
  const client = await UapiClient.connect(path)
  const cut = grammar.below(bytes.length + 1)
  client.send(bytes.subarray(0, cut))
  client.send(bytes.subarray(cut))
  client.finish()
  const answers: Answer[] = []
  await client.ended()
  while (client.unread !== '') answers.push(await client.answer())
  return answers
}

async function fuzz(context: TestContext, seed: number): Promise<void> {
  const grammar = new Grammar(seededRandom(seed))
  const datapath = new FakeDatapath('wg7')
  const server = await listenUapi({
    interfaceName: 'wg7',
    datapath,
    readOnly: false,
    directory: join(temporaryDirectory(context), 'wireguard'),
    onSocketRemoved: () => {},
    log: () => {},
  })
  context.after(() => server.close())
  const seen = { accepted: 0, refused: 0 }
  for (let round = 0; round < rounds; round++) {
    const bytes = mutated(grammar.conversation(), grammar)
    const before = datapath.tables
    const answers = await converse(server.path, bytes, grammar)
    assert.equal(answers.length > 0, bytes.length > 0, 'what was asked is answered')
    const accepted = answers.filter(({ errno }) => errno === 0).length
    const raised = datapath.tables.generation - before.generation
    assert.ok(raised <= accepted, 'only what was accepted changes the tables')
    if (accepted === 0) assert.equal(datapath.tables, before)
    seen.accepted += raised
    seen.refused += answers.length - accepted
    checkInvariants(datapath.tables)
  }
  // A fuzzer that only ever hits one side finds nothing.
  assert.ok(seen.accepted > rounds / 20 && seen.refused > rounds / 20, JSON.stringify(seen))
}

test('random requests: always an errno, never half applied, never the end', async context => {
  const seed = testSeed()
  try {
    await fuzz(context, seed)
  } catch (cause) {
    throw new Error(`HAWSER_SEED=${seed}`, { cause })
  }
})
