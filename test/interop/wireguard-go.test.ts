// Hawser with Debian's wireguard-go, whichever of them begins.

import { testMatrix } from '../support/interop/matrix.ts'

testMatrix('hawser', 'wireguard-go')
