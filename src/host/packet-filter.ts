// One nftables table of ours, replaced as a whole and at once by `nft -f -`. Whether it is still as it
// was written is seen by its listing: the kernel prints rules in its own words, so what it printed just
// after they were written is what it has to print later.
//
// The table also remembers what interfaces were set to before we changed them (`sysctls.ts`), as
// comments in a set: that lives exactly as long as the settings themselves, and needs no file that a
// container may lose.

import { GatewayError } from '../net/errors.ts'
import { type Fields, isFields, isGone, parseOutput, type RunCommand, textOf } from './commands.ts'

export class PacketFilter {
  readonly #run: RunCommand
  readonly #table: string
  #written = ''
  #listing = ''

  /** `table`: a name in the family `inet`. */
  constructor(run: RunCommand, table: string) {
    this.#run = run
    this.#table = `inet ${table}`
  }

  /** `body`: what stands between the braces of the table. Says whether anything was different. */
  async apply(body: string): Promise<boolean> {
    if (body === this.#written && (await this.#list()) === this.#listing) return false
    const table = `table ${this.#table}`
    // Declared before it is deleted: deleting what is not there would fail.
    await this.#run(['nft', '-f', '-'], `${table}\ndelete ${table}\n${table} {\n${body}}\n`)
    this.#listing = await this.#list()
    this.#written = body
    return true
  }

  async remove(): Promise<void> {
    const table = `table ${this.#table}`
    try {
      await this.#run(['nft', '-f', '-'], `${table}\ndelete ${table}\n`)
    } catch (error) {
      if (!isMissing(error)) throw error
    }
    this.#written = ''
  }

  /** The comments of a set's elements; empty when there is no such set or table. */
  async elementComments(set: string): Promise<ReadonlyMap<string, string>> {
    const comments = new Map<string, string>()
    for (const element of await this.#elements(set)) {
      comments.set(textOf(element, 'val'), textOf(element, 'comment'))
    }
    return comments
  }

  async #elements(set: string): Promise<Fields[]> {
    const [family, name] = this.#table.split(' ')
    const command = ['nft', '-j', 'list', 'set', family, name, set]
    let text: string
    try {
      text = await this.#run(command)
    } catch (error) {
      if (isGone(error) || isMissing(error)) return []
      throw error
    }
    const root = parseOutput(command, text)
    const objects = isFields(root) && Array.isArray(root['nftables']) ? root['nftables'] : []
    const found = objects.filter(isFields).map(object => object['set'])
    const elements = found.filter(isFields).flatMap(fields => fields['elem'] ?? [])
    return elements.flatMap(entry =>
      isFields(entry) && isFields(entry['elem']) ? [entry['elem']] : [],
    )
  }

  async #list(): Promise<string> {
    try {
      return await this.#run(['nft', 'list', 'table', ...this.#table.split(' ')])
    } catch (error) {
      if (isGone(error)) return ''
      throw error
    }
  }
}

/** There is no nft on this machine: then it has written nothing either. */
function isMissing(error: unknown): boolean {
  return error instanceof GatewayError && error.code === 'ENOENT'
}
