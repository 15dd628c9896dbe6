// The parts of `hawser datapath` as it runs: the addon, the real data path, the UAPI listener.

import { startDatapath } from '../datapath/datapath.ts'
import { loadNative } from '../native.ts'
import { chooseOffloads } from '../tun/offloads.ts'
import { listenUapi } from '../uapi/server.ts'
import type { DatapathDaemonParts } from './datapath.ts'
import { type LogLevel, processLog } from './log.ts'
import { claimDevice } from './pairs.ts'

export function datapathDaemonParts(level: LogLevel): DatapathDaemonParts {
  const native = loadNative()
  return {
    log: processLog(level),
    chooseOffloads: () => chooseOffloads(native, process.env),
    secureProcess: keep => native.secureProcess(keep),
    peerCredentials: fd => native.peerCredentials(fd),
    claimDevice,
    startDatapath,
    startUapi: (datapath, log) =>
      listenUapi({
        interfaceName: datapath.interfaceName,
        datapath,
        readOnly: true,
        // The gateway goes on without it: only `wg show` does not work any more.
        onSocketRemoved: () => log.error('the UAPI socket was removed, wg show will not work'),
        log: line => log.info(line),
      }),
  }
}
