// What people do with kubectl, as checks that run against the embedded API and against a real server: get,
// describe, wait, edit, label, annotate, patch, delete, create -f and apply -f. Each check has
// objects of its own, and looks at what kubectl prints and how it exits.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Kubectl {
  /** The program. */
  readonly path: string
  readonly kubeconfig: string
  /** The check may write all kinds in it. */
  readonly namespace: string
}

export interface KubectlCheck {
  readonly name: string
  /** As in api-contract.ts. */
  readonly needs: 'broker' | 'lab'
  run(kubectl: Kubectl): Promise<void>
}

interface Result {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

interface Input {
  /** For standard input. */
  readonly text?: string
  readonly environment?: Readonly<Record<string, string>>
}

const limitMs = 120_000

/** Runs it in a home of its own, so that nothing cached about another server is used. */
async function kubectl(
  { path, kubeconfig, namespace }: Kubectl,
  args: readonly string[],
  { text, environment = {} }: Input = {},
): Promise<Result> {
  const home = mkdtempSync(join(tmpdir(), 'hawser-kubectl-'))
  try {
    return await new Promise((resolve, reject) => {
      const env = { PATH: process.env['PATH'], HOME: home, KUBECONFIG: kubeconfig, ...environment }
      const child = execFile(
        path,
        ['--namespace', namespace, ...args],
        { env, timeout: limitMs },
        (error, stdout, stderr) => {
          if (error !== null && typeof error.code !== 'number') reject(error)
          else resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr })
        },
      )
      child.stdin?.end(text ?? '')
    })
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
}

/** Its standard output. Throws when it fails. */
async function ok(of: Kubectl, args: readonly string[], input: Input = {}): Promise<string> {
  const { code, stdout, stderr } = await kubectl(of, args, input)
  assert.equal(code, 0, `kubectl ${args.join(' ')}: ${stderr}`)
  return stdout.trim()
}

/** Its standard error. Throws when it does not fail. */
async function fails(of: Kubectl, args: readonly string[], input: Input = {}): Promise<string> {
  const { code, stdout, stderr } = await kubectl(of, args, input)
  assert.notEqual(code, 0, `kubectl ${args.join(' ')}: ${stdout}`)
  return stderr.trim()
}

function clusterText(id: string, cidr = '10.1.0.0/16'): string {
  return `
apiVersion: submariner.io/v1
kind: Cluster
metadata: {name: ${id}, labels: {submariner-io/clusterID: ${id}}}
spec: {cluster_id: ${id}, cluster_cidr: [${cidr}], service_cidr: [10.2.0.0/16], global_cidr: []}
`
}

function mapText(name: string, data: string): string {
  return `\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: ${name}}\ndata: {${data}}\n`
}

const file = ['-f', '-']

export const kubectlContract: readonly KubectlCheck[] = [
  {
    name: 'create -f, get and delete -f',
    needs: 'broker',
    async run(of) {
      const text = clusterText('kc-1') + mapText('kc-map', 'a: "1"')
      const made = await ok(of, ['create', ...file], { text })
      assert.deepEqual(made.split('\n'), [
        ...['cluster.submariner.io/kc-1 created', 'configmap/kc-map created'],
      ])
      const again = await fails(of, ['create', ...file], { text })
      assert.match(again, /\(AlreadyExists\).*clusters\.submariner\.io "kc-1" already exists/)
      const table = await ok(of, ['get', 'cm', 'kc-map'])
      assert.match(table, /^NAME +DATA +AGE\nkc-map +1 +\d+s$/)
      const path = ['get', 'cluster', 'kc-1', '-o', 'jsonpath={.spec.cluster_cidr[0]}']
      assert.equal(await ok(of, path), '10.1.0.0/16')
      const selected = await ok(of, [
        'get',
        'clusters',
        '-l',
        'submariner-io/clusterID=kc-1',
        '-o',
        'name',
      ])
      assert.equal(selected, 'cluster.submariner.io/kc-1')
      const gone = await ok(of, ['delete', ...file], { text })
      assert.match(gone, /^cluster\.submariner\.io "kc-1" deleted/)
      assert.match(
        await fails(of, ['get', 'cluster', 'kc-1']),
        /\(NotFound\): clusters\.submariner\.io "kc-1" not found/,
      )
    },
  },
  {
    name: 'apply -f makes, leaves, changes and takes out',
    needs: 'broker',
    async run(of) {
      const apply = (text: string) => ok(of, ['apply', ...file], { text })
      const first = clusterText('ka-1') + mapText('ka-map', 'a: "1", b: "2"')
      const both = (word: string) => [
        `cluster.submariner.io/ka-1 ${word}`,
        `configmap/ka-map ${word}`,
      ]
      assert.deepEqual((await apply(first)).split('\n'), both('created'))
      assert.deepEqual((await apply(first)).split('\n'), both('unchanged'))
      const second = clusterText('ka-1', '10.9.0.0/16') + mapText('ka-map', 'a: "1"')
      assert.deepEqual((await apply(second)).split('\n'), both('configured'))
      const data = await ok(of, ['get', 'cm', 'ka-map', '-o', 'jsonpath={.data}'])
      assert.deepEqual(JSON.parse(data), { a: '1' })
      const cidr = ['get', 'cluster', 'ka-1', '-o', 'jsonpath={.spec.cluster_cidr[*]}']
      assert.equal(await ok(of, cidr), '10.9.0.0/16')
    },
  },
  {
    name: 'a field that is not known is refused by the server',
    needs: 'broker',
    async run(of) {
      const text = clusterText('ks-1').replace('global_cidr', 'more: 1, global_cidr')
      const created = await fails(of, ['create', ...file], { text })
      assert.match(created, /\(BadRequest\).*strict decoding error: unknown field "spec\.more"/)
      await ok(of, ['apply', ...file], { text: clusterText('ks-1') })
      const applied = await fails(of, ['apply', ...file], { text })
      assert.match(applied, /strict decoding error: unknown field "spec\.more"/)
    },
  },
  {
    name: 'label, annotate, patch and edit',
    needs: 'broker',
    async run(of) {
      await ok(of, ['create', ...file], { text: clusterText('ke-1') + mapText('ke-map', 'a: "1"') })
      assert.equal(await ok(of, ['label', 'cm', 'ke-map', 'x=y']), 'configmap/ke-map labeled')
      assert.match(await fails(of, ['label', 'cm', 'ke-map', 'x=z']), /overwrite is false/)
      await ok(of, ['annotate', 'cluster', 'ke-1', 'hawser.test/note=hello'])
      await ok(of, [
        'patch',
        'cluster',
        'ke-1',
        '--type=merge',
        '-p',
        '{"spec":{"color_codes":["blue"]}}',
      ])
      await ok(of, ['patch', 'cm', 'ke-map', '-p', '{"data":{"b":"2"}}'])
      const operations = '[{"op":"replace","path":"/data/a","value":"9"}]'
      await ok(of, ['patch', 'cm', 'ke-map', '--type=json', '-p', operations])
      const shown = ['get', 'cm', 'ke-map', '-o', 'jsonpath={.data} {.metadata.labels.x}']
      assert.equal(await ok(of, shown), '{"a":"9","b":"2"} y')
      const script = join(mkdtempSync(join(tmpdir(), 'hawser-edit-')), 'edit')
      writeFileSync(script, '#!/bin/sh\nsed -i s/blue/green/ "$1"\n', { mode: 0o755 })
      const environment = { EDITOR: script, KUBE_EDITOR: script }
      const edited = await ok(of, ['edit', 'cluster', 'ke-1'], { environment })
      assert.equal(edited, 'cluster.submariner.io/ke-1 edited')
      const path = 'jsonpath={.spec.color_codes[0]} {.metadata.annotations.hawser\\.test/note}'
      assert.equal(await ok(of, ['get', 'cluster', 'ke-1', '-o', path]), 'green hello')
    },
  },
  {
    name: 'wait, for a condition, a field and a deletion',
    needs: 'broker',
    async run(of) {
      await ok(of, ['create', ...file], { text: clusterText('kw-1') })
      const definition = ['wait', '--for=condition=Established', 'crd/clusters.submariner.io']
      assert.match(await ok(of, definition), /condition met/)
      const field = 'jsonpath={.metadata.labels.done}=yes'
      const waiting = ok(of, ['wait', `--for=${field}`, 'cluster/kw-1', '--timeout=60s'])
      await ok(of, ['label', 'cluster', 'kw-1', 'done=yes'])
      assert.match(await waiting, /condition met/)
      const gone = ok(of, ['wait', '--for=delete', 'cluster/kw-1', '--timeout=60s'])
      await ok(of, ['delete', 'cluster', 'kw-1'])
      await gone
    },
  },
  {
    name: 'describe shows objects and what happened to them',
    needs: 'broker',
    async run(of) {
      await ok(of, ['create', ...file], { text: clusterText('kd-1') + mapText('kd-map', 'a: "1"') })
      const uid = await ok(of, ['get', 'cm', 'kd-map', '-o', 'jsonpath={.metadata.uid}'])
      const text = `
apiVersion: v1
kind: Event
metadata: {name: kd-event}
involvedObject: {kind: ConfigMap, name: kd-map, namespace: ${of.namespace}, uid: ${uid}}
reason: Tried
message: it was tried
type: Normal
`
      await ok(of, ['create', ...file], { text })
      const map = await ok(of, ['describe', 'cm', 'kd-map'])
      assert.match(map, /Name: +kd-map\n/)
      assert.match(map, /Normal +Tried .* it was tried/)
      const cluster = await ok(of, ['describe', 'cluster', 'kd-1'])
      assert.match(cluster, /cluster_id: +kd-1\n/)
      assert.match(cluster, /Events: +<none>/)
    },
  },
  {
    name: 'a Service is described and changed',
    needs: 'lab',
    async run(of) {
      const text = (ports: string) =>
        `apiVersion: v1\nkind: Service\nmetadata: {name: kv}\nspec: {selector: {app: kv}, ports: [${ports}]}\n`
      const web = '{name: web, port: 80}'
      await ok(of, ['apply', ...file], { text: text(web) })
      await ok(of, ['apply', ...file], { text: text(`${web}, {name: tls, port: 443}`) })
      const described = await ok(of, ['describe', 'service', 'kv'])
      assert.match(described, /TargetPort: +443\/TCP/)
      assert.match(described, /IP: +[0-9a-f.:]+\n/)
      await ok(of, ['apply', ...file], { text: text('{name: tls, port: 443}') })
      const ports = await ok(of, ['get', 'service', 'kv', '-o', 'jsonpath={.spec.ports[*].port}'])
      assert.equal(ports, '443')
      assert.match(await ok(of, ['get', 'all']), /service\/kv +ClusterIP/)
    },
  },
]
