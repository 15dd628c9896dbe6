// Clients of a fake API server, with the credentials of a broker.

import { KubeClient } from '../../src/kube/client.ts'
import { type BrokerSettings, brokerCredentials } from '../../src/kube/credentials.ts'
import { systemClock } from '../../src/net/clock.ts'
import type { FakeApiserver } from './fake-apiserver.ts'

export function fakeClient(server: FakeApiserver, more: Partial<BrokerSettings> = {}): KubeClient {
  const credentials = brokerCredentials(systemClock, {
    server: server.url,
    namespace: 'ns',
    token: 'token-1',
    ca: server.authority.pem,
    trustsSystemRoots: false,
    isInsecure: false,
    ...more,
  })
  return new KubeClient(credentials, 'hawser-test')
}
