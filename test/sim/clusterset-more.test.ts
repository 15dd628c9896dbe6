// The other half of clusterset.test.ts, in a process of its own.

import { testSeeds } from '../support/sim/clusterset/seeds.ts'

testSeeds(101, 100)
