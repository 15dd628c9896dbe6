// Ciphers as options of a command: `auto`, a name, or a list of them by preference.

import { InvalidArgumentError } from 'commander'
import {
  type CipherChoice,
  type CipherName,
  cipherNames,
  parseCipherChoice,
  parseCipherList,
} from '../tables/cipher.ts'

export const cipherHelp = `auto, or ciphers by preference: ${cipherNames.join(', ')}`

export function parseCipher(text: string): CipherChoice {
  const parsed = parseCipherChoice(text)
  if (typeof parsed === 'object' && 'wrong' in parsed) throw new InvalidArgumentError(parsed.wrong)
  return parsed
}

export function parseCiphers(text: string): readonly CipherName[] {
  const parsed = parseCipherList(text)
  if ('wrong' in parsed) throw new InvalidArgumentError(parsed.wrong)
  return parsed
}
