// The two API servers of a gateway: its own cluster's and the broker's. Nothing is asked here; files are
// read when a request needs them, and again when they have changed (kube/credentials.ts).

import { existsSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import type { ControlSettings } from '../control/world.ts'
import { KubeClient } from '../kube/client.ts'
import {
  brokerCredentials,
  type Credentials,
  inClusterCredentials,
  secretCredentials,
} from '../kube/credentials.ts'
import { KubeError } from '../kube/errors.ts'
import { kubeconfigCredentials } from '../kube/kubeconfig.ts'
import { secretType } from '../kube/resources/secret.ts'
import type { Clock } from '../net/clock.ts'
import { exitCode, GatewayError } from '../net/errors.ts'
import { type BrokerConfig, type LocalConfig, secretDirectory } from './gateway-config.ts'
import type { Environment } from './gateway-sources.ts'

export interface AccessOptions {
  readonly clock: Clock
  readonly environment: Environment
  readonly userAgent: string
}

/** A kubeconfig that was named, a server that was named, the pod's account, or KUBECONFIG. */
export async function localClient(
  { clock, environment, userAgent }: AccessOptions,
  { apiServer, apiSecret, namespace }: Omit<LocalConfig, 'stateDirectory'>,
  kubeconfig: string | undefined,
  context?: string,
): Promise<KubeClient> {
  const inPod = (environment['KUBERNETES_SERVICE_HOST'] ?? '') !== ''
  let credentials: Credentials
  if (kubeconfig === undefined && apiServer !== undefined) {
    credentials = brokerCredentials(clock, {
      server: apiServer,
      namespace,
      ...(apiSecret === undefined ? {} : { secretDirectory: apiSecret }),
      trustsSystemRoots: false,
      isInsecure: false,
    })
  } else if (kubeconfig === undefined && inPod) {
    credentials = await inClusterCredentials({ clock, environment })
  } else {
    const path = kubeconfig === undefined ? {} : { path: kubeconfig }
    const named = context === undefined ? {} : { context }
    credentials = await kubeconfigCredentials({ clock, environment, ...path, ...named })
  }
  return new KubeClient(credentials, userAgent)
}

/** The Secret is the mounted one; without a mount it is read of `local`, in our namespace there. */
export async function brokerClient(
  { clock, environment, userAgent }: AccessOptions,
  broker: BrokerConfig,
  { brokerNamespace: namespace, namespace: ownNamespace }: ControlSettings,
  local: KubeClient,
): Promise<KubeClient> {
  const { kubeconfig, server, secret, token, ca, isInsecure } = broker
  if (kubeconfig !== undefined) {
    const credentials = await kubeconfigCredentials({ clock, environment, path: kubeconfig })
    return new KubeClient(credentials, userAgent)
  }
  if (secret !== undefined && isUnmounted(secret)) {
    const read = () => readBrokerSecret(local, basename(secret), ownNamespace)
    const credentials = secretCredentials(clock, { server, namespace, isInsecure, read })
    return new KubeClient(credentials, userAgent)
  }
  const credentials = brokerCredentials(clock, {
    ...{ server, namespace, isInsecure, trustsSystemRoots: true },
    ...(secret === undefined ? {} : { secretDirectory: secretDirectory(secret) }),
    ...(token === undefined ? {} : { token }),
    ...(ca === undefined ? {} : { ca }),
  })
  return new KubeClient(credentials, userAgent)
}

/** Named, and not where the operator mounts Secrets. */
function isUnmounted(directory: string): boolean {
  return dirname(directory) === dirname(secretDirectory('any')) && !existsSync(directory)
}

async function readBrokerSecret(local: KubeClient, name: string, namespace: string) {
  const { value } = await local.get(secretType, { name, namespace })
  const text = (key: string) => new TextDecoder().decode(value.data[key]).trim()
  const token = text('token')
  if (token !== '') return { token, ca: text('ca.crt') }
  throw new KubeError('NO_CREDENTIALS', `there is no token in Secret ${namespace}/${name}`, {
    hint: 'join the cluster to the broker again',
  })
}

/** The gateway cannot begin without it. */
export function missingPsk(name: string, why: string): GatewayError {
  return new GatewayError('NO_PSK', `the PSK cannot be read from Secret ${name}: ${why}`, {
    exit: exitCode.failed,
    hint: `kubectl get secret ${name} -o jsonpath={.data.psk}, or set CE_IPSEC_PSK`,
  })
}
