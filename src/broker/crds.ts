// The custom resource definitions of deploy/crds, read when they are to be installed.

import { readdirSync, readFileSync } from 'node:fs'
import { parse } from 'yaml'
import type { Manifest } from '../kube/resources/raw.ts'

const directory = new URL('../../deploy/crds/', import.meta.url)

/** All of them, or those of one side: a broker needs no more than what is exchanged there. */
export function crdManifests(which: 'all' | 'broker' = 'all'): readonly Manifest[] {
  read ??= readAll()
  return read.filter(({ metadata }) => which === 'all' || brokerCrds.includes(metadata.name))
}

const brokerCrds = [
  ...['brokers.submariner.io', 'clusters.submariner.io', 'endpoints.submariner.io'],
  ...['gateways.submariner.io', 'serviceimports.multicluster.x-k8s.io'],
]

let read: readonly Manifest[] | undefined

function readAll(): readonly Manifest[] {
  return readdirSync(directory)
    .filter(file => file.endsWith('.yaml'))
    .sort()
    .map(file => parse(readFileSync(new URL(file, directory), 'utf8')) as Manifest)
}
