// A way between a client and a server, or between two data paths.
//
//   up     what is sent arrives
//   cut    both ends are told at once, as by a reset
//   hole   nothing arrives, and nobody is told

export type LinkState = 'up' | 'cut' | 'hole'

export class Link {
  #state: LinkState = 'up'
  readonly #changed: (link: Link) => void

  constructor(changed: (link: Link) => void = () => {}) {
    this.#changed = changed
  }

  get state(): LinkState {
    return this.#state
  }

  become(state: LinkState): void {
    if (state === this.#state) return
    this.#state = state
    this.#changed(this)
  }
}
