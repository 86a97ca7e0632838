import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { fixed, program, sizes } from '../../src/dsl/index.ts'
import { type Entry, readSafetensors, writeSafetensors } from '../../src/formats/safetensors.ts'
import { openCheckpoint, writeCheckpoint } from '../../src/formats/safetensors-index.ts'
import { type Pretrained, pretrained } from '../../src/models/pretrained.ts'
import { encoderKeys } from '../../src/models/published-keys.ts'
import { orThrow } from '../../src/train/task.ts'
import { presentEngines } from '../support/engines.ts'
import { fixturePath, loadCase, maxRelativeError } from '../support/fixtures.ts'

const engines = await presentEngines()
const test = suite(`models: pretrained folders on ${engines.map((e) => e.name).join(' and ')}`)

const root = mkdtempSync(join(tmpdir(), 'sailwright-pretrained-'))
test.after(() => rmSync(root, { recursive: true, force: true }))

const left = async (task: TaskEither<Error, unknown>): Promise<Error> => {
  const got = await task()
  if (got._tag === 'Right') throw new Error('it went well')
  return got.left
}
const fixture = (name: string): string => fixturePath(`models/${name}`)
let copies = 0
const copyOf = (name: string): string => {
  const to = join(root, `${name}-${copies++}`)
  cpSync(fixture(name), to, { recursive: true })
  return to
}
const entriesOf = async (file: string): Promise<ReadonlyMap<string, Entry>> => {
  const opened = await orThrow(readSafetensors(file))
  const all = new Map<string, Entry>()
  for (const key of opened.keys) all.set(key, await orThrow(opened.tensor(key)))
  return all
}
const forward = (p: Pretrained, size: { readonly batch?: number; readonly tokens?: number } = {}) =>
  program({ name: p.name, functions: { forward: fixed(() => ({ outputs: { y: p.model.graph(size) } })) } })

for (const [name, kind] of [
  ['qwen3-tied', 'language'],
  ['qwen3-untied', 'language'],
  ['sail-vit', 'vision'],
  ['sail-vl2', 'vision-language'],
] as const)
  test(`${name}: its kind, and a weight of its source for every state of its graph`, async () => {
    const p = await orThrow(pretrained(fixture(name)))
    assert.equal([p.kind, p.name, p.model.name, p.tokenizer], [kind, name, name, undefined])
    const { states } = forward(p)
    assert.ok(states.size > 10)
    for (const [key, { axes }] of states) assert.equal(p.source.shape(key), sizes(axes), key)
    const want = loadCase(`${name}`).weights
    for (const key of states.keys()) {
      const got = await orThrow(p.source.read(key))
      assert.equal([got.dtype, got.shape], ['float32', want.get(key)!.shape], key)
      assert.equal(got.data, want.get(key)!.data, key)
    }
  })

for (const engine of engines)
  test(`${engine.name}: the reference logits, from one file and from shards, read key by key`, async () => {
    const shards = copyOf('qwen3-untied')
    const all = await entriesOf(join(shards, 'model.safetensors'))
    assert.match(await orThrow(writeCheckpoint(shards, all, { maxShardBytes: 20_000 })), /index\.json$/)
    const want = loadCase('qwen3-untied')
    for (const folder of [fixture('qwen3-untied'), shards]) {
      const p = await orThrow(pretrained(folder, 'mine'))
      assert.is(p.model.name, 'mine')
      const read: string[] = []
      const values = {
        keys: p.source.keys,
        read: (key: string) => {
          read.push(key)
          return p.source.read(key)
        },
      }
      const [batch, tokens] = want.shape('input_ids') as [number, number]
      const session = await orThrow(engine.load(forward(p, { batch, tokens }), { values }))
      assert.equal(read, [...new Set(read)], 'each once')
      assert.is(read.length, session.program.states.size)
      const ids = (name: string) => ({
        shape: [batch, tokens],
        dtype: 'int32' as const,
        data: want.ints(name),
      })
      const inputs = { input_ids: ids('input_ids'), position_ids: ids('position_ids') }
      const { y } = await orThrow(session.call('forward', inputs))
      // the reference is 0 where there is padding
      const seen = Float32Array.from(y!.data, (v, i) => (want.floats('logits')[i] === 0 ? 0 : v))
      const error = maxRelativeError(seen, want.floats('logits'))
      assert.ok(error <= want.case.relative_tolerance, String(error))
      await orThrow(session.close())
    }
  })

test('an encoder in the key names of AIMv2 alone', async () => {
  const bare = copyOf('sail-vit')
  const file = join(bare, 'model.safetensors')
  const all = await entriesOf(file)
  const names = new Map([...all].map(([key, v]) => [key.replace('vision_model.', ''), v]))
  assert.ok(names.has('trunk.blocks.0.attn.qkv.weight'))
  await orThrow(writeSafetensors(file, names))
  const [p, want] = [await orThrow(pretrained(bare)), await orThrow(pretrained(fixture('sail-vit')))]
  assert.equal(p.source.keys, want.source.keys)
  for (const key of p.source.keys) {
    assert.equal([p.source.shape(key), p.source.dtype(key)], [want.source.shape(key), 'F32'])
    assert.equal(await orThrow(p.source.read(key)), await orThrow(want.source.read(key)))
  }
})

test('queries, keys and values that do not fit each other are no one matrix', async () => {
  const folder = copyOf('sail-vit')
  const file = join(folder, 'model.safetensors')
  const named = (part: string): string => `encoder.layers.0.attention.${part}_proj.weight`
  const of = (width: number): Entry => ({
    dtype: 'F32',
    shape: [2, width],
    values: new Float32Array(2 * width),
  })
  await orThrow(
    writeSafetensors(file, new Map(['q', 'k', 'v'].map((p) => [named(p), of(p === 'k' ? 3 : 4)]))),
  )
  const source = encoderKeys(await orThrow(openCheckpoint(file)))
  assert.equal(source.keys, ['vision_model.trunk.blocks.0.attn.qkv.weight'])
  const read = await source.read(source.keys[0]!)()
  assert.is(read._tag, 'Left')
  assert.match((read as { left: Error }).left.message, /its parts do not fit each other/)
})

test('the tokenizer, where there is one; a broken one is an error that names its file', async () => {
  const folder = copyOf('qwen3-tied')
  const file = join(folder, 'tokenizer.json')
  cpSync(fixturePath('text/tokenizers/byte-bpe.json'), file)
  const p = await orThrow(pretrained(folder))
  assert.is(p.tokenizer?.decode(p.tokenizer.encode('a word')), 'a word')
  writeFileSync(file, '{')
  assert.match((await left(pretrained(folder))).message, /tokenizer\.json: it is not JSON/)
})

test('what is missing is named', async () => {
  assert.match(
    (await left(pretrained(join(root, 'none')))).message,
    /none\/config\.json.*cannot be read \(ENOENT\)/,
  )
  const folder = copyOf('qwen3-tied')
  rmSync(join(folder, 'model.safetensors'))
  const error = await left(pretrained(folder))
  assert.match(error.message, `${basename(folder)}`)
  assert.match(error.message, /neither model\.safetensors nor model\.safetensors\.index\.json/)
})

test('images that were made into numbers otherwise are refused, by their key', async () => {
  const put = (folder: string, said: unknown): string => {
    writeFileSync(
      join(folder, 'preprocessor_config.json'),
      typeof said === 'string' ? said : JSON.stringify(said),
    )
    return folder
  }
  const folder = copyOf('sail-vl2')
  const own = {
    ...{ image_mean: [0.485, 0.456, 0.406], image_std: [0.229, 0.224, 0.225], do_normalize: true },
    ...{
      rescale_factor: 0.00392156862745098,
      resample: 3,
      size: { height: 448, width: 448 },
      do_center_crop: true,
    },
  }
  for (const fine of [own, {}, { image_mean: null }])
    assert.is((await orThrow(pretrained(put(folder, fine)))).kind, 'vision-language')
  const refused: readonly (readonly [unknown, RegExp])[] = [
    [
      { ...own, image_mean: [0.5, 0.5, 0.5] },
      /preprocessor_config\.json, image_mean: is \[0\.5,0\.5,0\.5\], not \[0\.485/,
    ],
    [{ image_std: [0.5, 0.5, 0.5] }, /image_std: is/],
    [{ image_mean: 0.485 }, /image_mean: is 0\.485/],
    [{ do_normalize: false }, /do_normalize: is false/],
    [{ rescale_factor: 1 }, /rescale_factor: is 1/],
    [{ resample: 2 }, /resample: is 2/],
    ['{', /preprocessor_config\.json: is no JSON/],
  ]
  for (const [said, why] of refused) assert.match((await left(pretrained(put(folder, said)))).message, why)
  // an encoder alone is given numbers, and a language model reads no images
  for (const alone of ['sail-vit', 'qwen3-tied'])
    await orThrow(pretrained(put(copyOf(alone), { image_mean: [0.5, 0.5, 0.5] })))
})

test('a checkpoint reads integers as integers', async () => {
  const file = join(root, 'mixed.safetensors')
  const entries: ReadonlyMap<string, Entry> = new Map<string, Entry>([
    ['steps', { dtype: 'I64', shape: [2], values: Int32Array.of(3, -4) }],
    ['half', { dtype: 'BF16', shape: [1], values: Float32Array.of(1.5) }],
  ])
  await orThrow(writeSafetensors(file, entries))
  const c = await orThrow(openCheckpoint(file))
  assert.equal(await orThrow(c.read('steps')), { shape: [2], dtype: 'int32', data: Int32Array.of(3, -4) })
  assert.equal(await orThrow(c.read('half')), { shape: [1], dtype: 'float32', data: Float32Array.of(1.5) })
  assert.match((await left(c.read('none'))).message, /no such tensor/)
})

test.run()
