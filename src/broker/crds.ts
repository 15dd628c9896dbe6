// The custom resource definitions of deploy/crds, read when they are to be installed.

import { readdirSync, readFileSync } from 'node:fs'
import { parse } from 'yaml'
import type { Manifest } from '../kube/resources/raw.ts'

const directory = new URL('../../deploy/crds/', import.meta.url)

/** All of them, or those of one side: a broker needs no more than what is exchanged there. */
export function crdManifests(which: 'all' | 'broker' = 'all'): readonly Manifest[] {
  return readdirSync(directory)
    .filter(file => file.endsWith('.yaml'))
    .filter(file => which === 'all' || brokerCrds.includes(file.slice(0, -'.yaml'.length)))
    .sort()
    .map(file => parse(readFileSync(new URL(file, directory), 'utf8')) as Manifest)
}

const brokerCrds = [
  ...['submariner.io_brokers', 'submariner.io_clusters', 'submariner.io_endpoints'],
  ...['submariner.io_gateways', 'multicluster.x-k8s.io_serviceimports'],
]
