// Hawser with Hawser.

import { testMatrix } from '../support/interop/matrix.ts'

testMatrix('hawser', 'hawser')
