// The filter of a capture: an expression in the manner of pcap-filter(7), parsed into plain data that
// can be sent to the workers. matcher.ts makes a function of it.
//
//   any    = all { ("or" | "||") all }
//   all    = one { ("and" | "&&") one }
//   one    = ("not" | "!") one | "(" any ")" | test
//   test   = [ kind ] [ "src" | "dst" ] ( "host" address | "net" prefix | "port" n | "portrange" n-n )
//          | ( "src" | "dst" ) prefix | kind | "proto" name-or-number | "cable" name
//          | "drop" [ reason ] | "inbound" | "outbound" | "inner" | "wire"
//   kind   = "tcp" | "udp" | "icmp" | "icmp6" | "sctp" | "ip" | "ip6"
//
// It differs from pcap-filter in one point: "and" binds tighter than "or". Errors tell the position.

import { type Family, parseAddress, parsePort, parsePrefix } from '../net/address.ts'
import { exitCode, GatewayError } from '../net/errors.ts'
import { captureLimits } from '../tables/capture.ts'
import { dropNames } from '../tables/counters.ts'

export type Side = 'src' | 'dst' | 'either'

export type Filter =
  | { readonly kind: 'and' | 'or'; readonly parts: readonly Filter[] }
  | { readonly kind: 'not'; readonly part: Filter }
  | {
      readonly kind: 'net'
      readonly side: Side
      readonly family: Family
      readonly bytes: Uint8Array
      readonly bits: number
    }
  | { readonly kind: 'port'; readonly side: Side; readonly least: number; readonly most: number }
  | { readonly kind: 'protocol'; readonly number: number }
  | { readonly kind: 'version'; readonly version: Family }
  /** `index` is filled in by who knows the cables; -1 matches nothing. */
  | { readonly kind: 'cable'; readonly name: string; readonly index: number }
  /** 0: whatever the reason. */
  | { readonly kind: 'drop'; readonly reason: number }
  | { readonly kind: 'direction'; readonly outbound: boolean }
  | { readonly kind: 'stage'; readonly wire: boolean }

interface Token {
  readonly text: string
  readonly at: number
}

const protocols: Readonly<Record<string, number>> = {
  ...{ icmp: 1, tcp: 6, udp: 17, dccp: 33, gre: 47, esp: 50 },
  ...{ icmp6: 58, sctp: 132, udplite: 136 },
}

const words: Readonly<Record<string, Filter>> = {
  tcp: { kind: 'protocol', number: 6 },
  udp: { kind: 'protocol', number: 17 },
  icmp: { kind: 'protocol', number: 1 },
  icmp6: { kind: 'protocol', number: 58 },
  sctp: { kind: 'protocol', number: 132 },
  ip: { kind: 'version', version: 4 },
  ip6: { kind: 'version', version: 6 },
  inbound: { kind: 'direction', outbound: false },
  outbound: { kind: 'direction', outbound: true },
  inner: { kind: 'stage', wire: false },
  wire: { kind: 'stage', wire: true },
}

/** What a kind may stand in front of. */
const qualified = ['src', 'dst', 'host', 'net', 'port', 'portrange']

const depthMost = 64
const starts = [
  ...['not', '!', '(', 'src', 'dst', 'host', 'net', 'port', 'portrange', 'proto', 'cable', 'drop'],
  ...Object.keys(words),
]

/** Whether an expression may begin with this word: on a command line it follows names of cables. */
export function startsFilter(text: string): boolean {
  return starts.includes(text) || /[\s()!]/.test(text)
}

/** Undefined for an empty text, which matches everything. Throws GatewayError BAD_FILTER. */
export function parseFilter(text: string): Filter | undefined {
  if (Buffer.byteLength(text) > captureLimits.filterBytes)
    throw bad(text, captureLimits.filterBytes, 'the expression is too long')
  const parser = new Parser(text)
  return parser.whole()
}

/** The same filter with the indices of its cables, which `indexOf` tells. */
export function resolveCables(filter: Filter, indexOf: (name: string) => number): Filter {
  switch (filter.kind) {
    case 'and':
    case 'or':
      return { ...filter, parts: filter.parts.map(part => resolveCables(part, indexOf)) }
    case 'not':
      return { ...filter, part: resolveCables(filter.part, indexOf) }
    case 'cable':
      return { ...filter, index: indexOf(filter.name) }
    default:
      return filter
  }
}

class Parser {
  readonly #text: string
  readonly #tokens: readonly Token[]
  #next = 0
  #depth = 0

  constructor(text: string) {
    this.#text = text
    this.#tokens = tokensOf(text)
  }

  whole(): Filter | undefined {
    if (this.#tokens.length === 0) return undefined
    const filter = this.#any()
    if (this.#peek() !== undefined) throw this.#wrong('expected "and", "or" or the end')
    return filter
  }

  #any(): Filter {
    const parts = [this.#all()]
    while (this.#takes('or', '||')) parts.push(this.#all())
    return parts.length === 1 ? parts[0] : { kind: 'or', parts }
  }

  #all(): Filter {
    const parts = [this.#one()]
    while (this.#takes('and', '&&')) parts.push(this.#one())
    return parts.length === 1 ? parts[0] : { kind: 'and', parts }
  }

  #one(): Filter {
    if (++this.#depth > depthMost) throw this.#wrong('nested too deep')
    try {
      if (this.#takes('not', '!')) return { kind: 'not', part: this.#one() }
      if (!this.#takes('(')) return this.#test()
      const inner = this.#any()
      if (!this.#takes(')')) throw this.#wrong('expected ")"')
      return inner
    } finally {
      this.#depth--
    }
  }

  #test(): Filter {
    const word = known(words, this.#peek() ?? '')
    if (word !== undefined) {
      this.#next++
      // `tcp port 80`
      const isKind = word.kind === 'protocol' || word.kind === 'version'
      if (!isKind || !qualified.includes(this.#peek() ?? '')) return word
      return { kind: 'and', parts: [word, this.#test()] }
    }
    const side = this.#takes('src') ? 'src' : this.#takes('dst') ? 'dst' : 'either'
    if (this.#takes('host')) return this.#net(side, true)
    if (this.#takes('net')) return this.#net(side, false)
    if (this.#takes('port')) return this.#ports(side, /^(\d+)$/, 'a port')
    if (this.#takes('portrange')) return this.#ports(side, /^(\d+)-(\d+)$/, 'ports like 8000-8080')
    if (side !== 'either') return this.#net(side, false)
    if (this.#takes('proto')) return this.#protocol()
    if (this.#takes('cable')) return { kind: 'cable', name: this.#value('a cable'), index: -1 }
    if (this.#takes('drop')) return this.#drop()
    throw this.#wrong(`expected one of ${starts.join(' ')}`)
  }

  #net(side: Side, isHost: boolean): Filter {
    const what = isHost ? 'an IP address' : 'a prefix like 10.0.0.0/8'
    const text = this.#value(what)
    try {
      const { family, bytes, bits } = isHost
        ? { ...parseAddress(text), bits: 128 }
        : parsePrefix(text)
      return { kind: 'net', side, family, bytes, bits: family === 4 ? Math.min(bits, 32) : bits }
    } catch {
      throw this.#wrong(`expected ${what}`, 1)
    }
  }

  #ports(side: Side, form: RegExp, what: string): Filter {
    const match = form.exec(this.#value(what))
    try {
      const least = parsePort(match?.[1] ?? '')
      const most = parsePort(match?.[2] ?? match?.[1] ?? '')
      if (least > most) throw new RangeError()
      return { kind: 'port', side, least, most }
    } catch {
      throw this.#wrong(`expected ${what}`, 1)
    }
  }

  #protocol(): Filter {
    const text = this.#value('a protocol')
    const number = /^\d{1,3}$/.test(text) ? Number(text) : known(protocols, text)
    if (number !== undefined && number <= 255) return { kind: 'protocol', number }
    const names = Object.keys(protocols).join(' ')
    throw this.#wrong(`expected a number up to 255 or one of ${names}`, 1)
  }

  /** A reason may follow; whatever else does is not ours to judge. */
  #drop(): Filter {
    const reason = dropNames.indexOf(this.#peek() ?? '')
    if (reason > 0) {
      this.#next++
      return { kind: 'drop', reason }
    }
    const next = this.#peek()
    if (next === undefined || ['and', 'or', '&&', '||', ')'].includes(next)) {
      return { kind: 'drop', reason: 0 }
    }
    throw this.#wrong('expected a drop reason; hawser drops shows them')
  }

  #peek(): string | undefined {
    return this.#tokens[this.#next]?.text
  }

  #takes(...texts: readonly string[]): boolean {
    const isNext = texts.includes(this.#peek() ?? '')
    if (isNext) this.#next++
    return isNext
  }

  #value(what: string): string {
    const text = this.#peek()
    if (text === undefined || /^(?:[()!]|&&|\|\|)$/.test(text))
      throw this.#wrong(`expected ${what}`)
    this.#next++
    return text
  }

  /** About the next token, or one `back` from it. */
  #wrong(what: string, back = 0): GatewayError {
    return bad(this.#text, this.#tokens[this.#next - back]?.at ?? this.#text.length, what)
  }
}

function tokensOf(text: string): Token[] {
  const tokens = text.matchAll(/[()!]|&&|\|\||(?:[^\s()!&|]|&(?!&)|\|(?!\|))+/g)
  return [...tokens].map(match => ({ text: match[0], at: match.index }))
}

function known<T>(table: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined
}

function bad(text: string, at: number, what: string): GatewayError {
  const found = text.slice(at).split(/\s/, 1)[0]
  const where = found === '' ? 'at its end' : `at ${JSON.stringify(found.slice(0, 40))}`
  return new GatewayError('BAD_FILTER', `filter, character ${at + 1}, ${where}: ${what}`, {
    hint: "hawser capture west 'host 10.1.0.7 and tcp port 80'",
    exit: exitCode.usage,
  })
}
