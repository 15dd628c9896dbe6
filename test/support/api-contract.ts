// What the embedded API promises, as checks that run against it and against a real kube-apiserver: what
// holds for one and not for the other is a mistake in the embedded one. Every check works in a namespace
// that is there, with names of its own, and leaves nothing that another one would stumble over.
//
// `needs`: the list of kinds that a server must have; `broker` kinds are in both lists. A real server has
// the CRDs of deploy/crds and serves everything; `kubernetes`: what that one alone can answer.

import type { ApiCheck } from './api-contract/check.ts'
import { controllerChecks } from './api-contract/controllers.ts'
import { discoveryChecks } from './api-contract/discovery.ts'
import { listChecks } from './api-contract/lists.ts'
import { patchChecks } from './api-contract/patches.ts'
import { schemaChecks } from './api-contract/schemas.ts'
import { watchChecks } from './api-contract/watches.ts'
import { writeChecks } from './api-contract/writes.ts'

export const apiContract: readonly ApiCheck[] = [
  ...discoveryChecks,
  ...writeChecks,
  ...schemaChecks,
  ...patchChecks,
  ...listChecks,
  ...watchChecks,
  ...controllerChecks,
]
