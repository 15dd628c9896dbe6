// The ciphers that a WireGuard cable can have, by the names that people write. Which one a session
// gets is agreed out of band: a cable's table says what this side enables and what the remote is
// known to accept. ChaCha20-Poly1305 belongs to every cable, named or not: it is what a plain
// WireGuard peer has, and what two Hawsers fall back to while they do not know the same
// (docs/decisions/0018).

import { method } from './shared.ts'

export const cipherNames = ['chacha20-poly1305', 'aes-256-gcm'] as const

export type CipherName = (typeof cipherNames)[number]

/** By preference; `auto` is all of them, the fastest of this machine first. */
export type CipherChoice = readonly CipherName[] | 'auto'

export interface CipherTable {
  /** What this side uses and accepts. */
  readonly enabled: CipherChoice
  /** What the remote is known to accept; absent: nothing is known, so ChaCha20-Poly1305 alone. */
  readonly remote?: readonly CipherName[]
}

/** shared.ts `method` of each cipher. */
export const cipherMethods: Readonly<Record<CipherName, number>> = {
  'chacha20-poly1305': method.chacha20Poly1305,
  'aes-256-gcm': method.aes256Gcm,
}

/** The cipher of a key slot, by its method; undefined for a slot that has none. */
export function cipherOf(methodCode: number): CipherName | undefined {
  return cipherNames.find(name => cipherMethods[name] === methodCode)
}

export function isCipherName(text: string): text is CipherName {
  return cipherNames.some(name => name === text)
}

/** `aes-256-gcm,chacha20-poly1305`, each once and at least one; else what is wrong, as words. */
export function parseCipherList(
  text: string,
  others: readonly string[] = [],
): readonly CipherName[] | { readonly wrong: string } {
  const names = text.split(',').map(name => name.trim())
  const known = names.filter(isCipherName)
  if (known.length < names.length) {
    const unknown = names.find(name => !isCipherName(name)) ?? ''
    const none = unknown === 'none' ? '; a cable without a cipher is one of the driver vxlan' : ''
    const list = [...cipherNames, ...others].join(', ')
    return { wrong: `unknown cipher ${JSON.stringify(unknown)}; known are ${list}${none}` }
  }
  const twice = known.find((name, index) => known.indexOf(name) < index)
  return twice === undefined ? known : { wrong: `${twice} stands there twice` }
}

/** The same, or `auto`. */
export function parseCipherChoice(text: string): CipherChoice | { readonly wrong: string } {
  return text === 'auto' ? text : parseCipherList(text, ['auto'])
}

export function formatCiphers(choice: CipherChoice): string {
  return choice === 'auto' ? choice : choice.join(',')
}

export function equalCiphers(a: CipherTable | undefined, b: CipherTable | undefined): boolean {
  if (a === undefined || b === undefined) return a === b
  return (
    formatCiphers(a.enabled) === formatCiphers(b.enabled) &&
    a.remote?.join(',') === b.remote?.join(',')
  )
}

/**
 * What a cable accepts and prefers, given what `auto` means on this machine. ChaCha20-Poly1305 is
 * always there, as the last choice when it was not named.
 */
export function rankedCiphers(
  table: CipherTable | undefined,
  auto: readonly CipherName[],
): readonly CipherName[] {
  const enabled = table === undefined ? [] : table.enabled === 'auto' ? auto : table.enabled
  return enabled.includes(fallbackCipher) ? enabled : [...enabled, fallbackCipher]
}

/** What a handshake of ours is made with: the first of ours that the remote is known to accept. */
export function preferredCipher(
  table: CipherTable | undefined,
  auto: readonly CipherName[],
): CipherName {
  const remote = table?.remote ?? []
  const found = rankedCiphers(table, auto).find(
    name => name === fallbackCipher || remote.includes(name),
  )
  return found ?? fallbackCipher
}

/** WireGuard's own cipher. */
export const fallbackCipher: CipherName = 'chacha20-poly1305'
