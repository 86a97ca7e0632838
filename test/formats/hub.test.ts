import { spawnSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  type Fetched,
  type FetchModelOptions,
  type FetchOptions,
  fetchDataset,
  fetchModel,
  type HubError,
} from '../../src/formats/index.ts'
import { orThrow } from '../../src/train/task.ts'
import { commit, type Faults, type HubServer, hubServer } from '../support/hub-server.ts'
import { commandIn } from '../support/in-process.ts'
import { loader, moduleAt } from '../support/program.ts'
import { until } from '../support/until.ts'

const test = suite('formats: models fetched from a hub')
const root = mkdtempSync(join(tmpdir(), 'sailwright-hub-'))
const servers: HubServer[] = []
test.after(async () => {
  for (const s of servers) await s.close()
  rmSync(root, { recursive: true, force: true })
})

const repo = 'Org/Model-0.6B'
const files: ReadonlyMap<string, Buffer> = new Map([
  ['.gitattributes', Buffer.from('*.safetensors lfs')],
  ['README.md', Buffer.from('# a model')],
  ['config.json', Buffer.from('{"model_type": "qwen3"}')],
  ['tokenizer.json', Buffer.from('{}')],
  ['merges.txt', Buffer.alloc(0)],
  ['model.safetensors', randomBytes(300_000)],
  ['pytorch_model.bin', randomBytes(100)],
  ['onnx/model.onnx', randomBytes(100)],
])
/** An endpoint at which nobody listens. */
const closed = async (): Promise<string> => {
  const server = await hubServer(repo, files)
  await server.close()
  return server.endpoint
}
const needed = ['config.json', 'tokenizer.json', 'merges.txt', 'model.safetensors']

const serving = async (faults: Faults = {}, all = files): Promise<HubServer> => {
  const server = await hubServer(repo, all, faults)
  servers.push(server)
  return server
}
let folders = 0
const fresh = (): string => join(root, `to-${folders++}`)
const take = (folder: string, more: Partial<FetchModelOptions>) =>
  fetchModel(repo, { folder, pause: 1, ...more })
const left = async (folder: string, more: Partial<FetchModelOptions>): Promise<HubError> => {
  const got = await take(folder, more)()
  if (got._tag === 'Right') throw new Error('it went well')
  return got.left
}
const same = (folder: string, names: readonly string[] = needed, all = files): void => {
  for (const name of names) assert.ok(readFileSync(join(folder, name)).equals(all.get(name)!), name)
  assert.equal(
    readdirSync(folder).filter((n) => n.endsWith('.part')),
    [],
  )
}
const ranges = (s: HubServer, name: string): readonly (string | undefined)[] =>
  s.seen.filter((x) => x.path === `/large/${name}`).map((x) => x.range)

test('the files that a model needs, at one commit, checked; a second time nothing is asked for again', async () => {
  const [hub, folder] = [await serving(), fresh()]
  const got = await orThrow(take(folder, { endpoint: `${hub.endpoint}/` }))
  assert.equal(got.files.map((f) => [f.path, f.taken]).sort(), needed.map((n) => [n, true]).sort())
  assert.equal([got.revision, got.folder], [commit, folder])
  assert.equal(readdirSync(folder).sort(), [...needed].sort())
  same(folder)
  assert.ok(
    hub.seen.every((s) => !/\/resolve\/(?!ab12)/.test(s.path)),
    'files are of the commit, not of a branch',
  )
  const before = hub.seen.length
  const again = await orThrow(take(folder, { endpoint: hub.endpoint }))
  assert.equal(
    again.files.map((f) => f.taken),
    needed.map(() => false),
  )
  assert.ok(hub.seen.slice(before).every((s) => s.path.startsWith('/api/')))
})

test('all files, those of folders too', async () => {
  const [hub, folder] = [await serving(), fresh()]
  await orThrow(take(folder, { endpoint: hub.endpoint, all: true }))
  same(folder, [...files.keys()])
})

const rows: ReadonlyMap<string, Buffer> = new Map([
  ['.gitattributes', Buffer.from('*.parquet lfs')],
  ['README.md', Buffer.from('# a data set')],
  ['data/train-00000-of-00002.jsonl', Buffer.from('{"n": 1}\n')],
  ['data/train-00001-of-00002.jsonl', Buffer.from('{"n": 2}\n')],
  ['data/test-00000-of-00001.jsonl', Buffer.from('{"n": 3}\n')],
  ['more/deep/a+b (1).jsonl', Buffer.from('{"n": 4}\n')],
])

test('a data set: all of its files, or those that a path names; from a hub, a folder and a cache', async () => {
  const hub = await hubServer(repo, rows, {}, 'dataset')
  servers.push(hub)
  const named: readonly (readonly [readonly string[] | undefined, readonly string[]])[] = [
    [undefined, [...rows.keys()].filter((p) => !p.startsWith('.'))],
    [['data/train-*'], ['data/train-00000-of-00002.jsonl', 'data/train-00001-of-00002.jsonl']],
    [
      ['more/', 'data/test-*'],
      ['data/test-00000-of-00001.jsonl', 'more/deep/a+b (1).jsonl'],
    ],
    [['**/*-of-00001.jsonl'], ['data/test-00000-of-00001.jsonl']],
    [
      ['**.md', 'more/deep/a+b (?).jsonl'],
      ['README.md', 'more/deep/a+b (1).jsonl'],
    ],
  ]
  const cache = join(root, 'cache-of-rows')
  const snapshot = join(cache, 'datasets--Org--Model-0.6B', 'snapshots', commit)
  for (const [only, wanted] of named) {
    const sources: readonly Partial<FetchOptions>[] = [
      { endpoint: hub.endpoint },
      { from: snapshot },
      { from: cache, revision: commit },
    ]
    for (const source of sources) {
      const folder = fresh()
      const got = await orThrow(fetchDataset(repo, { folder, pause: 1, ...source, ...(only && { only }) }))
      assert.equal(got.files.map((f) => f.path).sort(), [...wanted].sort())
      for (const path of wanted) assert.ok(readFileSync(join(folder, path)).equals(rows.get(path)!), path)
      assert.is(
        readdirSync(folder, { recursive: true, withFileTypes: true }).filter((f) => f.isFile()).length,
        wanted.length,
      )
      if (only !== undefined || existsSync(snapshot)) continue
      mkdirSync(join(snapshot, '..'), { recursive: true })
      cpSync(folder, snapshot, { recursive: true })
    }
  }
  for (const only of ['train', '*.jsonl']) {
    const got = await fetchDataset(repo, { folder: fresh(), endpoint: hub.endpoint, only: [only] })()
    const said = got._tag === 'Left' ? got.left.message : ''
    assert.ok(said.includes(`has no file '${only}'; it has README.md, data/train`), said)
  }
  // a model of that name is not there
  assert.match((await left(fresh(), { endpoint: hub.endpoint })).message, /a data set wants --dataset/)
})

test('the command: one split of a data set, and how a run reads it', async () => {
  const hub = await hubServer(repo, rows, {}, 'dataset')
  servers.push(hub)
  const cwd = fresh()
  mkdirSync(cwd)
  const command = commandIn(cwd)
  const words = ['fetch', repo, '--dataset', '--endpoint', hub.endpoint, '--out', 'rows']
  const got = await command([...words, '--only', 'data/train-*'])
  assert.is(got.code, 0, got.err)
  assert.match(got.out, /rows: 2 files of http.*, 2 fetched/)
  assert.match(got.out, /run <file\.ts> --data rows\/data' reads it/)
  assert.equal(readdirSync(join(cwd, 'rows')), ['data'])
  // what a run would refuse is not promised
  const both = await command([...words, '--only', 'data'])
  assert.is(both.code, 0, both.err)
  assert.match(
    both.out,
    /As it is a run does not read rows\/data: it has files of several splits .*; give one/,
  )
  for (const [more, why] of [
    [['--all'], /--all is of a model/],
    [['--only', 'none'], /has no file 'none'/],
  ] as const) {
    const no = await command([...words, ...more])
    assert.is(no.code, 2)
    assert.match(no.err, why)
  }
  const model = await command(['fetch', repo, '--only', 'data'])
  assert.is(model.code, 2)
  assert.match(model.err, /--only is of a data set: add --dataset/)
})

test('a connection that is cut goes on with a Range request, in the same call', async () => {
  const hub = await serving({ cuts: { 'model.safetensors': [100_000, 50_000] } })
  const folder = fresh()
  const told: number[] = []
  const onProgress: FetchOptions['onProgress'] = ({ bytes, of }) => told.push(bytes / of)
  await orThrow(take(folder, { endpoint: hub.endpoint, onProgress }))
  same(folder)
  assert.equal(ranges(hub, 'model.safetensors'), [undefined, 'bytes=100000-299999', 'bytes=150000-299999'])
  assert.equal([told, told.at(-1)], [told.toSorted((a, b) => a - b), 1])
})

test('a part that an earlier call left is gone on with; that of another content is not', async () => {
  const hub = await serving({ cuts: { 'model.safetensors': [120_000, 0, 0] } })
  const folder = fresh()
  const error = await left(folder, { endpoint: hub.endpoint, tries: 2 })
  assert.is(error.tag, 'Cut')
  assert.match(error.message, /at byte 120000 of 300000, 2 times without a byte more: start again/)
  assert.not.ok(existsSync(join(folder, 'model.safetensors')))
  await orThrow(take(folder, { endpoint: hub.endpoint }))
  same(folder)
  assert.is(ranges(hub, 'model.safetensors').at(-1), 'bytes=120000-299999')
  // the same name with another content: from its first byte
  const other = new Map([...files, ['model.safetensors', randomBytes(300_000)]])
  const [changed, second] = [await serving({}, other), fresh()]
  const cut = await serving({ cuts: { 'model.safetensors': [7, 0] } })
  assert.is((await left(second, { endpoint: cut.endpoint, tries: 1 })).tag, 'Cut')
  await orThrow(take(second, { endpoint: changed.endpoint }))
  assert.ok(readFileSync(join(second, 'model.safetensors')).equals(other.get('model.safetensors')!))
  assert.equal(ranges(changed, 'model.safetensors'), [undefined])
})

test('a connection in which nothing comes any more counts as cut', async () => {
  const hub = await serving({ stalls: { 'model.safetensors': 1000 } })
  const folder = fresh()
  await orThrow(take(folder, { endpoint: hub.endpoint, stall: 200 }))
  same(folder)
  assert.equal(ranges(hub, 'model.safetensors'), [undefined, 'bytes=1000-299999'])
})

test('a server that knows no parts sends the file from its start', async () => {
  const hub = await serving({ noRanges: true, cuts: { 'model.safetensors': [100_000] } })
  const folder = fresh()
  await orThrow(take(folder, { endpoint: hub.endpoint }))
  same(folder)
  // one that cuts each of them as well is given up
  const never = await serving({ noRanges: true, cuts: { 'model.safetensors': Array(20).fill(100_000) } })
  assert.is((await left(fresh(), { endpoint: never.endpoint, tries: 3 })).tag, 'Cut')
})

test('what is not what the hub says is taken once more, and is then an error; a changed file here is mended', async () => {
  for (const name of ['model.safetensors', 'config.json']) {
    const [once, folder] = [await serving({ corrupt: { [name]: 1 } }), fresh()]
    await orThrow(take(folder, { endpoint: once.endpoint }))
    same(folder)
    const twice = await serving({ corrupt: { [name]: 2 } })
    const error = await left(fresh(), { endpoint: twice.endpoint })
    assert.is(error.tag, 'Checksum')
    assert.match(error.message, `${name}: what came is not what ${twice.endpoint}/${repo} says it is`)
    const path = join(folder, name)
    const bytes = readFileSync(path)
    bytes[bytes.length - 1]! ^= 1
    writeFileSync(path, bytes)
    const mended = await orThrow(take(folder, { endpoint: once.endpoint }))
    assert.equal(
      mended.files.filter((f) => f.taken).map((f) => f.path),
      [name],
    )
    same(folder)
  }
})

test('a part whose bytes were changed is found out by the checksum of the whole, and taken again', async () => {
  const hub = await serving({ cuts: { 'model.safetensors': [1000, 0] } })
  const folder = fresh()
  await left(folder, { endpoint: hub.endpoint, tries: 1 })
  const part = readdirSync(folder).find((n) => n.endsWith('.part'))!
  writeFileSync(join(folder, part), randomBytes(1000))
  await orThrow(take(folder, { endpoint: hub.endpoint }))
  same(folder)
})

for (const [code, reason, token, says] of [
  [401, 'GatedRepo', undefined, /is gated \(401 GatedRepo\): ask for access on http.*HF_TOKEN/],
  [403, 'GatedRepo', 'hf_x', /is gated \(403 GatedRepo\): ask for access/],
  [
    401,
    'RepoNotFound',
    undefined,
    /\(401 RepoNotFound\): if it is a model \(a data set wants --dataset\), it is private or gated: give a token/,
  ],
  [403, undefined, 'hf_x', /\(403\): the token in HF_TOKEN may not read it/],
] as const)
  for (const asked of ['info', 'file'] as const)
    test(`${code} ${reason ?? ''} to ${asked}: refused, and what to do`, async () => {
      const hub = await serving({
        status: { of: asked, code, times: 99, ...(reason === undefined ? {} : { reason }) },
      })
      const error = await left(fresh(), { endpoint: hub.endpoint, ...(token === undefined ? {} : { token }) })
      assert.is(error.tag, 'Refused')
      assert.match(error.message, says)
      assert.equal(new Set(hub.seen.map((s) => s.token)), new Set([token && `Bearer ${token}`]))
    })

test('no such model, revision, server; a server that fails for a moment, and for good', async () => {
  const hub = await serving()
  const error = await fetchModel('Org/Other', { folder: fresh(), endpoint: hub.endpoint })()
  assert.ok(error._tag === 'Left')
  assert.is(error.left.tag, 'NotFound')
  assert.match(error.left.message, /Org\/Other: there is no such thing at http.*\(404\): check the name/)
  const revision = await left(fresh(), { endpoint: hub.endpoint, revision: 'v9' })
  assert.equal([revision.tag, /has no revision 'v9'/.test(revision.message)], ['NotFound', true])
  const nobody = await left(fresh(), { endpoint: await closed() })
  assert.is(nobody.tag, 'Unreachable')
  assert.match(nobody.message, /cannot be reached \(ECONNREFUSED\).*--endpoint.*--from/)
  for (const asked of ['info', 'file'] as const) {
    const folder = fresh()
    await orThrow(
      take(folder, { endpoint: (await serving({ status: { of: asked, code: 503, times: 2 } })).endpoint }),
    )
    same(folder)
    const down = await serving({ status: { of: asked, code: 503, times: 99 } })
    assert.match((await left(fresh(), { endpoint: down.endpoint, tries: 2 })).message, /answers 503/)
  }
})

test('what answers and is no hub is said at once, and not asked for again: a page to log in, nothing, a listing or redirects without an end', async () => {
  const page = '<html>log in</html>'
  const soon = () => AbortSignal.timeout(120_000)
  const cases: readonly (readonly [Faults, HubError['tag'], RegExp])[] = [
    [{ instead: { of: 'info', body: page } }, 'BadListing', /what answers is no hub \(.*JSON\).*--endpoint/],
    [{ instead: { of: 'info', body: 'null' } }, 'BadListing', /what answers is no hub/],
    [{ instead: { of: 'info', body: '{}' } }, 'BadListing', /what answers is no hub: it names no commit/],
    [{ instead: { of: 'list', body: page } }, 'BadListing', /what answers is no hub/],
    [{ instead: { of: 'list', body: '{}' } }, 'BadListing', /what answers is no hub/],
    [{ instead: { of: 'file', body: page } }, 'Unreachable', /model\.safetensors: .* sends a web page/],
    [
      { instead: { of: 'info', body: '', redirect: true } },
      'Unreachable',
      /cannot be reached \(redirect count exceeded\)/,
    ],
    [{ endless: true }, 'BadListing', /its listing of files has no end/],
  ]
  for (const [faults, tag, message] of cases) {
    const hub = await serving(faults)
    // a second try would come too late
    const error = await left(fresh(), { endpoint: hub.endpoint, pause: 1e6, signal: soon() })
    assert.is(error.tag, tag, error.message)
    assert.match(error.message, message)
  }
  const odd = await left(fresh(), { endpoint: 'nonsense', pause: 1e6, signal: soon() })
  assert.is(odd.tag, 'BadName')
  assert.match(odd.message, /'nonsense' is no address of a hub: it begins with http/)
  const scheme = await left(fresh(), { endpoint: 'ftp://localhost', pause: 1e6, signal: soon() })
  assert.equal([scheme.tag, /unknown scheme/.test(scheme.message)], ['Unreachable', true])
})

test('a signal stops it while it waits to ask again', async () => {
  const down = await serving({ status: { of: 'info', code: 503, times: 99 } })
  const signal = AbortSignal.timeout(200)
  assert.is((await left(fresh(), { endpoint: down.endpoint, pause: 1e6, signal })).tag, 'Interrupted')
})

test('what cannot be read as a model, a listing that leads elsewhere, no room: refused before a byte of weights', async () => {
  const without = async (name: string) =>
    (await serving({}, new Map([...files].filter(([n]) => n !== name)))).endpoint
  const weights = await left(fresh(), { endpoint: await without('model.safetensors') })
  assert.is(weights.tag, 'NoModel')
  assert.match(
    weights.message,
    /has no model\.safetensors and no model\.safetensors\.index\.json.*it has pytorch_model\.bin/,
  )
  assert.match((await left(fresh(), { endpoint: await without('config.json') })).message, /no config\.json/)
  for (const name of ['../evil', '/evil', 'a//b', 'a/../../b', 'c:x']) {
    const away = await serving({}, new Map([...files, [name, Buffer.from('x')]]))
    const folder = fresh()
    assert.is((await left(folder, { endpoint: away.endpoint, all: true })).tag, 'BadListing', name)
    assert.not.ok(existsSync(join(root, 'evil')))
  }
  const huge = new Map(files)
  huge.set('model.safetensors', Object.assign(Buffer.from('x'), {}))
  const server = await hubServer(repo, huge)
  servers.push(server)
  const said = globalThis.fetch
  // a listing that tells of more than any disk holds
  globalThis.fetch = async (url, init) => {
    const answer = await said(url, init)
    if (!String(url).includes('/tree/')) return answer
    const text = (await answer.text()).replaceAll(/"size":1\b/g, '"size":9000000000000000')
    return new Response(text, { headers: answer.headers })
  }
  try {
    const folder = fresh()
    const error = await left(folder, { endpoint: server.endpoint })
    assert.is(error.tag, 'DiskFull')
    assert.match(error.message, /9\.00 PB are to come and [\d.]+ [kMGTP]?B are free/)
    assert.not(existsSync(folder))
  } finally {
    globalThis.fetch = said
  }
})

test('names and tokens that are none', async () => {
  for (const name of ['Model', 'a/b/c', '../x', 'a b/c']) {
    const got = await fetchModel(name, { folder: fresh() })()
    assert.is(got._tag === 'Left' && got.left.tag, 'BadName', name)
  }
  assert.match((await left(fresh(), { token: 'secret' })).message, /HF_TOKEN.*begin with hf_$/)
})

test('shards: those that the index names', async () => {
  const index = {
    weight_map: { a: 'model-00001-of-00002.safetensors', b: 'model-00002-of-00002.safetensors' },
  }
  const parts: ReadonlyMap<string, Buffer> = new Map([
    ['config.json', Buffer.from('{}')],
    ['model.safetensors.index.json', Buffer.from(JSON.stringify(index))],
    ['model-00001-of-00002.safetensors', randomBytes(1000)],
    ['model-00002-of-00002.safetensors', randomBytes(2000)],
    ['model-00003-of-00003.safetensors', randomBytes(10)],
  ])
  const [hub, folder] = [await serving({}, parts), fresh()]
  await orThrow(take(folder, { endpoint: hub.endpoint }))
  const names = [...parts.keys()].slice(0, 4)
  same(folder, names, parts)
  assert.equal(readdirSync(folder).sort(), [...names].sort())
  const lost = await serving({}, new Map([...parts].filter(([n]) => !n.includes('00002-of'))))
  assert.match((await left(fresh(), { endpoint: lost.endpoint })).message, /names model-00002-of-00002/)
})

test('from a folder: the model itself, one inside by name, a cache with its checksums', async () => {
  const write = (folder: string): string => {
    mkdirSync(folder, { recursive: true })
    for (const name of needed) writeFileSync(join(folder, name), files.get(name)!)
    return folder
  }
  const plain = write(join(root, 'plain'))
  write(join(root, 'shared', repo))
  const model = join(root, 'cache', 'models--Org--Model-0.6B')
  const snapshot = join(model, 'snapshots', commit)
  for (const f of ['blobs', 'refs', join('snapshots', commit)]) mkdirSync(join(model, f), { recursive: true })
  writeFileSync(join(model, 'refs', 'main'), commit)
  for (const name of needed) {
    const content = files.get(name)!
    const blob = join(model, 'blobs', createHash('sha256').update(content).digest('hex'))
    writeFileSync(blob, content)
    symlinkSync(blob, join(snapshot, name))
  }
  for (const from of [plain, join(root, 'shared'), join(root, 'cache')]) {
    const folder = fresh()
    const got: Fetched = await orThrow(take(folder, { from }))
    same(folder)
    assert.is(
      got.files.every((f) => f.sum !== undefined),
      from === join(root, 'cache'),
    )
  }
  const blob = join(model, 'blobs', createHash('sha256').update(files.get('config.json')!).digest('hex'))
  writeFileSync(blob, '{"model_type": "qwen4"}')
  assert.is((await left(fresh(), { from: join(root, 'cache') })).tag, 'Checksum')
  writeFileSync(
    join(plain, 'model.safetensors'),
    'version https://git-lfs.github.com/spec/v1\noid sha256:1\n',
  )
  assert.match((await left(fresh(), { from: plain })).message, /git lfs pull/)
  assert.match((await left(fresh(), { from: join(root, 'none') })).message, /holds no model Org\/Model-0\.6B/)
})

test('a disk that fills up meanwhile: said, and gone on with where there is room again', async () => {
  const from = join(root, 'full')
  mkdirSync(from)
  for (const name of needed) writeFileSync(join(from, name), files.get(name)!)
  const folder = fresh()
  const program = `
    import { fetchModel } from ${JSON.stringify(moduleAt('src/formats/hub/index.ts'))}
    const got = await fetchModel(...${JSON.stringify([repo, { folder, from }])})()
    console.log(JSON.stringify([got.left?.tag, got.left?.message]))`
  const { stdout, stderr } = spawnSync(
    'bash',
    [
      ...['-c', `ulimit -f "$2"; exec "$0" ${loader.join(' ')} --input-type=module -e "$1"`],
      ...[process.execPath, program, '100'],
    ],
    { encoding: 'utf8' },
  )
  assert.is(stderr, '')
  const [tag, message] = JSON.parse(stdout) as [string, string]
  assert.is(tag, 'DiskFull')
  assert.match(message, /model\.safetensors: the disk is full.*it goes on where it ended$/)
  await orThrow(take(folder, { from }))
  same(folder)
})

test('a signal stops it, and the part stays', async () => {
  const hub = await serving({ stalls: { 'model.safetensors': 5000 } })
  const [folder, ending] = [fresh(), new AbortController()]
  const onProgress: FetchOptions['onProgress'] = ({ path }) => {
    // all that came lies on the disk
    const there = () =>
      readdirSync(folder).some((n) => n.endsWith('.part') && statSync(join(folder, n)).size === 5000)
    if (path === 'model.safetensors') until(there).then(() => ending.abort(), assert.unreachable)
  }
  const error = await left(folder, { endpoint: hub.endpoint, signal: ending.signal, onProgress })
  assert.is(error.tag, 'Interrupted')
  const part = readdirSync(folder).find((n) => n.endsWith('.part'))!
  assert.is(statSync(join(folder, part)).size, 5000)
  await orThrow(take(folder, { endpoint: hub.endpoint }))
  same(folder)
})

const command = commandIn(root)
const cli = (words: readonly string[], env: Readonly<Record<string, string>> = {}) => command(words, { env })

test('sailwright fetch: into the name’s folder, from the endpoint of the environment, with the token', async () => {
  const hub = await serving()
  const got = await cli(['fetch', repo], { HF_ENDPOINT: hub.endpoint, HF_TOKEN: 'hf_mine' })
  assert.equal([got.code, got.err], [0, 'config.json\ntokenizer.json\nmerges.txt\nmodel.safetensors\n'])
  assert.match(got.out, /^Model-0\.6B: 4 files of http.* at ab12ab12ab12, 4 fetched \(300,025 bytes in /)
  same(join(root, 'Model-0.6B'))
  assert.ok(hub.seen.every((s) => s.token === 'Bearer hf_mine'))
  const again = await cli(['fetch', repo, '--endpoint', hub.endpoint, '--json'])
  const { files: said } = JSON.parse(again.out) as Fetched
  assert.equal([again.code, said.length, said.some((f) => f.taken)], [0, 4, false])
  assert.is((await cli(['fetch', 'Model', '--endpoint', hub.endpoint])).code, 2)
  // what was made for files that did not come is taken away
  assert.is((await cli(['fetch', repo, '--endpoint', await closed(), '--out', 'x/y'])).code, 1)
  assert.not(existsSync(join(root, 'x')))
  assert.is((await cli(['fetch', repo, '--endpoint', hub.endpoint, '--from', '.'])).code, 2)
  writeFileSync(join(root, 'file'), '')
  const asked = hub.seen.length
  for (const out of ['file', 'file/inside', '/proc/none/inside']) {
    const odd = await cli(['fetch', repo, '--endpoint', hub.endpoint, '--out', out])
    assert.match(odd.err, `${resolve(root, out)} can be no folder (E`)
    assert.equal([odd.code, hub.seen.length], [1, asked])
  }
})

test.run()
