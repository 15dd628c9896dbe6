// The verdicts of both workers as text, and what they are replaced by to measure what they cost: the
// least that still forwards. Outbound that is cable 0 with its remote, slot and socket; inbound it
// is nothing. No packet is decoded, routed, fitted or marked, no source is checked, no instant of
// sending is stored. What an authenticated datagram does to its session is no verdict and stays.
// While there is no session the full outbound verdict runs, which asks for one.
//
// Each replacement puts code in front of the first statement of a method, found by its signature.

/** A method of a file of src, and what is put at its begin. */
export interface Rewrite {
  readonly file: string
  readonly signature: string
  readonly begin: string
}

export const rewrites: readonly Rewrite[] = [
  {
    file: 'src/datapath/outbound.ts',
    signature: '  #verdict(base: number, nowMs: number): number {\n',
    begin: `
    const onlySlot = Atomics.load(this.#cables, CABLE.SLOT)
    const onlyRemote = Atomics.load(this.#cables, CABLE.REMOTE)
    if (onlySlot >= 0 && onlyRemote >= 0) {
      const words = this.#parts.main.batch.rows
      words[base + ROW.CABLE] = 0
      words[base + ROW.REMOTE] = onlyRemote
      words[base + ROW.SLOT] = onlySlot
      words[base + ROW.FD] = this.#sockets.ipv4
      words[base + ROW.TOS] = 0
      words[base + ROW.PAD] = this.#cables[CABLE.MTU] | (this.#parts.segmentsMax << 16)
      return 0
    }
`,
  },
  {
    file: 'src/datapath/inbound.ts',
    signature: '  #verdict(base: number): number {\n',
    begin: '    return 0\n',
  },
]

/** The text of a file with the replacement in it. Throws unless the signature is there once. */
export function rewriteVerdict(source: string, { file, signature, begin }: Rewrite): string {
  const parts = source.split(signature)
  if (parts.length === 2) return `${parts[0]}${signature}${begin}${parts[1]}`
  const times = parts.length - 1
  throw new Error(
    `${file} has ${times} times the text '${signature.trim()}', which is expected once: ` +
      'bench/support/verdict-rewrite.ts has to follow it',
  )
}

/** What a process says when it has loaded a file with its replacement. */
export function rewritten(file: string): string {
  return `${file} runs without its verdict\n`
}
