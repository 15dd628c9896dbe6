// Credentials of a kubeconfig, as kubectl would use them: client certificates, tokens, exec plugins,
// OIDC, proxies. @kubernetes/client-node does that, and is loaded here and nowhere else, when a
// kubeconfig is first used: it costs a quarter of a second and 85 MB, which a gateway in a pod saves.
//
// What the library gets wrong or leaves out is done here: one KubeConfig for one context (it caches by
// user name), a new one when a file changed or the server refused us (its caches of exec tokens and
// agents are never emptied), `tokenFile`, names that stand in two files (the first one holds), and its
// error messages, which may quote a token: a parser's excerpt of the file, what a plugin printed.

import { homedir } from 'node:os'
import { delimiter, dirname, join, resolve } from 'node:path'
import type { ConfigOptions, KubeConfig } from '@kubernetes/client-node'
import type { Clock } from '../net/clock.ts'
import {
  Access,
  type Credentials,
  checkedCa,
  parseServer,
  RereadAccess,
  readText,
} from './credentials.ts'
import { isRecord, KubeError } from './errors.ts'

type Library = typeof import('@kubernetes/client-node')

/** What `applyToHTTPSOptions` fills in. */
type HttpsOptions = Parameters<KubeConfig['applyToHTTPSOptions']>[0]

/** A plugin may open a browser and wait for somebody; a hanging one must not be waited for. */
const accessLimitMs = 60_000

export interface KubeconfigOptions {
  readonly clock: Clock
  /** Absent: KUBECONFIG of the environment, then ~/.kube/config. */
  readonly path?: string
  /** Absent: the current context of the file. */
  readonly context?: string
  readonly environment: Readonly<Record<string, string | undefined>>
}

export interface KubeconfigCredentials extends Credentials {
  readonly context: string
  /** What the kubeconfig calls the cluster. */
  readonly cluster: string
}

/** Throws NO_CREDENTIALS: no such file, context, cluster or user. */
export async function kubeconfigCredentials(
  options: KubeconfigOptions,
): Promise<KubeconfigCredentials> {
  const paths = pathsOf(options)
  const library = await import('@kubernetes/client-node')
  let loaded = await load(library, paths, options.context)
  let isRefused = false
  const reread = new RereadAccess(options.clock, async () => {
    const texts = await readAll(paths)
    const isChanged = JSON.stringify(texts) !== JSON.stringify(loaded.texts)
    if (isChanged || isRefused) loaded = await load(library, paths, loaded.context)
    isRefused = false
    return accessOf(loaded)
  })
  const { context } = loaded
  return {
    context,
    cluster: loaded.config.getContextObject(context)?.cluster ?? '',
    server: serverOf(loaded),
    namespace: loaded.config.getContextObject(context)?.namespace ?? 'default',
    renewal: `kubectl --context ${context} get --raw /version, which uses the same credentials`,
    access: () => reread.access(),
    refresh: stale => {
      isRefused = true
      return reread.refresh(stale)
    },
  }
}

function pathsOf({ path, environment }: KubeconfigOptions): string[] {
  if (path !== undefined) return [path]
  const listed = (environment['KUBECONFIG'] ?? '').split(delimiter).filter(entry => entry !== '')
  return listed.length > 0 ? listed : [join(environment['HOME'] ?? homedir(), '.kube', 'config')]
}

interface Loaded {
  readonly config: KubeConfig
  readonly context: string
  readonly texts: readonly FileText[]
  /** Of the user, as an absolute path. */
  readonly tokenFile: string | undefined
}

interface FileText {
  readonly path: string
  readonly text: string
}

async function load(library: Library, paths: readonly string[], wanted?: string): Promise<Loaded> {
  const texts = await readAll(paths)
  const files = texts.map(file => ({ ...file, config: parsed(library, file) }))
  const config = new library.KubeConfig()
  config.loadFromOptions({
    clusters: firstOfEachName(files.flatMap(file => file.config.getClusters())),
    users: firstOfEachName(files.flatMap(file => file.config.getUsers())),
    contexts: firstOfEachName(files.flatMap(file => file.config.getContexts())),
    currentContext: files.map(file => file.config.getCurrentContext()).find(name => name),
  })
  const context = wanted ?? config.getCurrentContext() ?? ''
  config.setCurrentContext(context)
  const where = texts.map(({ path }) => path).join(', ')
  const user = config.getCurrentUser()
  if (config.getCurrentCluster() === null || user === null) {
    const names = config.getContexts().map(({ name }) => name)
    const missing =
      config.getContextObject(context) === null
        ? `has no context ${JSON.stringify(context)}`
        : `has no cluster or no user for the context ${JSON.stringify(context)}`
    throw new KubeError('NO_CREDENTIALS', `${where} ${missing}`, {
      hint: names.length > 0 ? `one of the contexts ${names.join(', ')}` : 'kubectl config view',
    })
  }
  const tokenFile = texts.map(file => tokenFileOf(library, file, user.name)).find(found => found)
  return { config, context, texts, tokenFile }
}

/** Like kubectl, which ignores files of KUBECONFIG that are not there, as long as there is one. */
async function readAll(paths: readonly string[]): Promise<FileText[]> {
  const read = await Promise.allSettled(
    paths.map(async path => ({ path, text: await readText(path) })),
  )
  const there = read.flatMap(result => (result.status === 'fulfilled' ? [result.value] : []))
  const failure = read.find(result => result.status === 'rejected')
  if (there.length === 0 && failure !== undefined) throw failure.reason
  return there
}

/** An entry that is broken is left out: another context may be whole. */
const lenient: Partial<ConfigOptions> = { onInvalidEntry: 'filter' }

function parsed(library: Library, { path, text }: FileText): KubeConfig {
  const config = new library.KubeConfig()
  let root: unknown
  try {
    root = library.loadYaml(text)
    config.loadFromString(text, lenient)
  } catch (error) {
    // Not the message: it shows the lines around the mistake.
    const mark = isRecord(error) && isRecord(error['mark']) ? error['mark'] : {}
    throw noKubeconfig(path, typeof mark['line'] === 'number' ? ` (line ${mark['line'] + 1})` : '')
  }
  // A file of something else may be YAML too: one long word, for instance.
  if (!isRecord(root) && text.trim() !== '') throw noKubeconfig(path, '')
  config.makePathsAbsolute(dirname(resolve(path)))
  return config
}

function noKubeconfig(path: string, where: string): KubeError {
  return new KubeError('NO_CREDENTIALS', `${path} is no kubeconfig${where}`, {
    hint: `kubectl --kubeconfig ${path} config view`,
  })
}

function firstOfEachName<T extends { readonly name: string }>(entries: readonly T[]): T[] {
  const byName = new Map<string, T>()
  for (const entry of entries) if (!byName.has(entry.name)) byName.set(entry.name, entry)
  return [...byName.values()]
}

/** The library knows `token-file`; kubectl and everybody else write `tokenFile`. */
function tokenFileOf(library: Library, { path, text }: FileText, name: string): string | undefined {
  const config: unknown = library.loadYaml(text)
  const users = isRecord(config) && Array.isArray(config['users']) ? config['users'] : []
  const entry: unknown = users.find(candidate => isRecord(candidate) && candidate['name'] === name)
  const user = isRecord(entry) && isRecord(entry['user']) ? entry['user'] : {}
  const file = user['tokenFile']
  return typeof file === 'string' && file !== '' ? resolve(dirname(path), file) : undefined
}

function serverOf({ config, texts }: Loaded): string {
  return parseServer(config.getCurrentCluster()?.server ?? '', texts[0].path)
}

async function accessOf(loaded: Loaded): Promise<Access> {
  const options: HttpsOptions = {}
  const token = loaded.tokenFile === undefined ? undefined : await readText(loaded.tokenFile)
  await inTime(loaded.config.applyToHTTPSOptions(options), loaded)
  const headers = textHeaders(options.headers)
  if (options.auth) headers['Authorization'] = `Basic ${base64(options.auth)}`
  if (token !== undefined) headers['Authorization'] = `Bearer ${token.trim()}`
  const cluster = loaded.config.getCurrentCluster()
  const hasProxy = cluster?.proxyUrl !== undefined && 'agent' in options
  const authorization = headers['Authorization'] ?? ''
  return new Access({
    server: serverOf(loaded),
    tls: {
      ca: options.ca === undefined ? undefined : [checkedCa(String(options.ca))],
      certificate: options.cert === undefined ? undefined : String(options.cert),
      key: options.key === undefined ? undefined : String(options.key),
      serverName: cluster?.tlsServerName,
      isInsecure: cluster?.skipTLSVerify === true,
    },
    headers,
    secrets: [authorization.replace(/^\w+ /, ''), passwordOf(options.auth)],
    ...(hasProxy ? { agent: agentOf(options) } : {}),
  })
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}

function textHeaders(headers: unknown): Record<string, string> {
  if (!isRecord(headers)) return {}
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]))
}

function agentOf(options: HttpsOptions) {
  if (typeof options.agent === 'object') return options.agent
  throw new Error('the library made no agent for the proxy')
}

/** The library's errors, without what they quote, and within a limit. */
async function inTime(work: Promise<void>, { config, context, texts }: Loaded): Promise<void> {
  const path = texts[0].path
  const command: unknown = config.getCurrentUser()?.exec?.command
  const of = typeof command === 'string' ? ` by running ${command}` : ''
  const failed = (why: string) =>
    new KubeError(
      'NO_CREDENTIALS',
      `cannot get the credentials of ${context} (${path})${of}${why}`,
      {
        hint: `kubectl --kubeconfig ${path} --context ${context} get --raw /version`,
      },
    )
  let timer: NodeJS.Timeout | undefined
  const limit = new Promise<never>((_, reject) => {
    const late = () => reject(failed(`: no end after ${accessLimitMs / 1000} s`))
    timer = setTimeout(late, accessLimitMs)
  })
  try {
    await Promise.race([work, limit])
  } catch (error) {
    if (error instanceof KubeError) throw error
    // Errors of system calls name files and programs; others may quote what was read.
    const isSystem = error instanceof Error && 'syscall' in error
    throw failed(isSystem ? `: ${error.message}` : '')
  } finally {
    clearTimeout(timer)
  }
}

/** Of `user:password`; a password may have colons. */
function passwordOf(auth: string | null | undefined): string {
  return auth?.slice(auth.indexOf(':') + 1) ?? ''
}
