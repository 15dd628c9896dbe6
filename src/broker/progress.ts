// What a person sees of deploy-broker, join, leave and evict while they work: a line for each step once
// its end is known. The command line prints them; tests collect them.

export interface Progress {
  /** Runs the work, and says how it ended; an error goes on to the caller. */
  step<T>(what: string, work: () => Promise<T>): Promise<T>
  warn(text: string): void
  note(text: string): void
}
