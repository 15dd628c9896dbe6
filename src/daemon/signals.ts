// The first SIGTERM or SIGINT ends a daemon cleanly, the next one has its usual effect.

const names = ['SIGTERM', 'SIGINT'] as const

/** Returns how to stop listening. */
export function onFirstSignal(end: (name: string) => void): () => void {
  const forget = () => {
    for (const name of names) process.off(name, listener)
  }
  const listener = (name: NodeJS.Signals) => {
    forget()
    end(name)
  }
  for (const name of names) process.on(name, listener)
  return forget
}
