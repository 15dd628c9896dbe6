// Ten clusters, a broker and everything between them, the real control core and API on virtual time,
// with failures of every sort (test/support/sim/clusterset/run.ts). 200 seeds here and in
// clusterset-more.test.ts, beside it on another core; `npm run sim` runs more, or one again.

import { testSeeds } from '../support/sim/clusterset/seeds.ts'

testSeeds(1, 100)
