// What the client knows of a kind of object: its place in the API, and how what the server sends
// becomes one of our own types. Objects are parsed once, here at the edge; the rest of the control
// plane sees types whose fields are there, never raw objects.

/** Where a kind lives: `/apis/GROUP/VERSION[/namespaces/NAMESPACE]/PLURAL`, `/api/v1` for group ''. */
export interface ResourcePlace {
  readonly group: string
  readonly version: string
  readonly plural: string
  readonly kind: string
  readonly namespaced: boolean
}

/** A kind with its own slim type. */
export interface ResourceType<T extends Resource> extends ResourcePlace {
  /** Reads an object as the server sent it. It never throws: what is wrong comes back as a problem. */
  parse(raw: unknown): Parsed<T>
  /**
   * The object as it is written, with apiVersion, kind and metadata. `base`: the raw object that was
   * read last; what we do not own in it (unknown fields, foreign labels and annotations) is kept.
   * Labels, annotations and finalizers are added to those of the base; a patch takes one out.
   */
  serialize(resource: T, base?: unknown): Record<string, unknown>
}

export type Parsed<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly name: string; readonly problem: string }

/** What the server keeps about an object, as far as we use it. */
export interface ResourceMeta {
  readonly name: string
  /** Empty for a kind without namespaces. */
  readonly namespace: string
  readonly uid: string
  /** Opaque; empty before the object has been written. */
  readonly resourceVersion: string
  /** Milliseconds since 1970; 0 before the object has been written. */
  readonly createdAtMs: number
  readonly isDeleting: boolean
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
  readonly finalizers: readonly string[]
}

export interface Resource {
  readonly meta: ResourceMeta
}
