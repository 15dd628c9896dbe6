// The two closed lists of kinds: what a broker serves, and what the API of a lab's cluster serves. Custom
// kinds come from the definitions in deploy/crds, which are served too, to be read. Nothing is added while
// the server runs.

import { readdirSync, readFileSync } from 'node:fs'
import { parse } from 'yaml'
import { type Body, listAt, recordAt, textAt } from './body.ts'
import {
  configMapKind,
  definitionKind,
  endpointSliceKind,
  eventKind,
  leaseKind,
  namespaceKind,
  nodeKind,
  podKind,
  secretKind,
  serviceAccountKind,
  serviceCidrKind,
  serviceKind,
} from './builtin-kinds.ts'
import { customColumns } from './columns.ts'
import { allVerbs, type Kind, readVerbs, type Schema } from './kind.ts'
import { resourceName } from './refusal.ts'

export class Kinds {
  readonly all: readonly Kind[]
  /** The CRDs of the custom kinds among them, as objects. */
  readonly definitions: readonly Body[]
  readonly #byName: ReadonlyMap<string, Kind>

  constructor(all: readonly Kind[], definitions: readonly Body[]) {
    this.all = all
    this.definitions = definitions
    this.#byName = new Map(all.map(kind => [resourceName(kind), kind]))
  }

  /** The resource names: `clusters.submariner.io`, `secrets`. */
  get names(): string[] {
    return [...this.#byName.keys()]
  }

  /** By its resource name. */
  get(name: string): Kind | undefined {
    return this.#byName.get(name)
  }

  find(group: string, version: string, plural: string): Kind | undefined {
    const kind = this.get(group === '' ? plural : `${plural}.${group}`)
    return kind?.version === version ? kind : undefined
  }
}

const brokerCustom = ['Broker', 'Cluster', 'Endpoint', 'ServiceImport']
const labCustom = [...brokerCustom, 'Gateway', 'RouteAgent', 'Submariner', 'ServiceExport']

/** A broker has one namespace, made at its start. */
export function brokerKinds(): Kinds {
  const namespaces = { ...namespaceKind, verbs: readVerbs }
  return withCustom(brokerCustom, [
    ...[namespaces, configMapKind, secretKind, serviceAccountKind, eventKind],
    ...[endpointSliceKind, definitionKind],
  ])
}

export function labKinds(): Kinds {
  return withCustom(labCustom, [
    ...[namespaceKind, configMapKind, secretKind, serviceAccountKind, eventKind, nodeKind],
    ...[podKind, serviceKind, endpointSliceKind, leaseKind, serviceCidrKind, definitionKind],
  ])
}

function withCustom(names: readonly string[], builtin: readonly Kind[]): Kinds {
  const all = readDefinitions()
  const definitions = names.map(name => {
    const found = all.find(body => textAt(body, 'spec', 'names', 'kind') === name)
    if (found === undefined) throw new Error(`deploy/crds has no ${name}`)
    return found
  })
  return new Kinds([...builtin, ...definitions.map(customKind)], definitions)
}

const folder = new URL('../../deploy/crds/', import.meta.url)

function readDefinitions(): Body[] {
  const files = readdirSync(folder).filter(file => file.endsWith('.yaml'))
  return files.map(file => parse(readFileSync(new URL(file, folder), 'utf8')) as Body)
}

/** A definition of one version, as ours are. */
function customKind(definition: Body): Kind {
  const [version] = listAt(definition, 'spec', 'versions')
  const names = recordAt(definition, 'spec', 'names')
  return {
    group: textAt(definition, 'spec', 'group'),
    version: textAt(version, 'name'),
    plural: textAt(names, 'plural'),
    kind: textAt(names, 'kind'),
    singular: textAt(names, 'singular'),
    shortNames: listAt(names, 'shortNames').map(String),
    namespaced: textAt(definition, 'spec', 'scope') === 'Namespaced',
    verbs: allVerbs,
    hasStatus: recordAt(version, 'subresources')['status'] !== undefined,
    isCustom: true,
    hasGeneration: true,
    schema: recordAt(version, 'schema', 'openAPIV3Schema') as Schema,
    columns: customColumns(listAt(version, 'additionalPrinterColumns')),
    fields: [],
    mergeKeys: {},
  }
}
