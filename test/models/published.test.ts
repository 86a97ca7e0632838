/** Folders as transformers 4 and 5 write them, against what transformers computes from them. */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { fixed, program, sizes } from '../../src/dsl/index.ts'
import { type Session, type TensorValue, tensorValue } from '../../src/engine/index.ts'
import { type Entry, openCheckpoint, readSafetensors, writeSafetensors } from '../../src/formats/index.ts'
import { type Pretrained, pretrained, WeightsError } from '../../src/models/index.ts'
import { orThrow } from '../../src/train/task.ts'
import { hostEngines } from '../support/engines.ts'
import { fixturePath, maxRelativeError } from '../support/fixtures.ts'

const engines = await hostEngines()
const test = suite(`models: folders that transformers wrote, on ${engines.map((e) => e.name).join(' and ')}`)
const root = mkdtempSync(join(tmpdir(), 'sailwright-published-'))
test.after(() => rmSync(root, { recursive: true, force: true }))

const at = (name: string): string => fixturePath(`published/${name}`)
const names = readdirSync(fixturePath('published')).sort()
let copies = 0
const copyOf = (name: string): string => {
  const to = join(root, `${name}-${copies++}`)
  cpSync(at(name), to, { recursive: true })
  return to
}

/** What transformers computed, by name. */
const expectedOf = async (name: string): Promise<ReadonlyMap<string, TensorValue>> => {
  const file = await orThrow(openCheckpoint(join(at(name), 'expected.safetensors')))
  return new Map(await Promise.all(file.keys.map(async (k) => [k, await orThrow(file.read(k))] as const)))
}
const said = (name: string) => JSON.parse(readFileSync(join(at(name), 'case.json'), 'utf8'))

/** A session that computes a row of so many tokens, and the images of two rows. */
const opened = async (engine: (typeof engines)[number], p: Pretrained, tokens: number): Promise<Session> =>
  orThrow(
    engine.load(
      program({
        name: p.name,
        functions: { forward: fixed(() => ({ outputs: { y: p.model.graph({ batch: 2, tokens }) } })) },
      }),
      { values: p.source },
    ),
  )

/** The logits of two rows of ids, padded on the right to so many tokens. */
const logitsOf = async (
  session: Session,
  rows: readonly (readonly number[])[],
  tokens: number,
  images?: { readonly pixels: TensorValue; readonly at: readonly [number, number] },
): Promise<readonly Float32Array[]> => {
  const padded = (of: (row: readonly number[], t: number, r: number) => number): TensorValue =>
    tensorValue(
      'int32',
      [2, tokens],
      rows.flatMap((row, r) => Array.from({ length: tokens }, (_, t) => of(row, t, r))),
    )
  const { y } = await orThrow(
    session.call('forward', {
      input_ids: padded((row, t) => row[t] ?? 0),
      position_ids: padded((_, t) => t),
      ...(images === undefined
        ? {}
        : {
            pixel_values: images.pixels,
            visual_index: padded((_, t, r) =>
              t >= images.at[0] && t <= images.at[1] ? r * 4 + t - images.at[0] : -1,
            ),
          }),
    }),
  )
  const vocab = y!.shape.at(-1)!
  return rows.map((row, r) =>
    (y!.data as Float32Array).slice(r * tokens * vocab, (r * tokens + row.length) * vocab),
  )
}

const largest = (x: Float32Array): number => x.indexOf(x.reduce((a, b) => Math.max(a, b)))

for (const engine of engines)
  for (const name of names)
    test(`${engine.name}: ${name}: equal logits, equal greedy text`, async () => {
      const [want, p] = [await expectedOf(name), await orThrow(pretrained(at(name)))]
      assert.equal(p.unread, [])
      if (p.kind === 'vision') {
        const session = await opened(engine, p, 0)
        const { y } = await orThrow(session.call('forward', { pixel_values: want.get('pixel_values')! }))
        const error = maxRelativeError(y!.data, want.get('hidden')!.data)
        assert.ok(error <= said(name).relative_tolerance, String(error))
        await orThrow(session.close())
        return
      }
      const ids = want.get('input_ids')!
      const [, length] = ids.shape as [number, number]
      const rows = [0, 1].map((r) => [...ids.data.subarray(r * length, (r + 1) * length)])
      const greedy = want.get('greedy')!
      const more = greedy.shape[1]!
      const tokens = length + more
      const images =
        p.kind === 'vision-language'
          ? { pixels: want.get('pixel_values')!, at: said(name).image_at as [number, number] }
          : undefined
      const session = await opened(engine, p, tokens)
      const got = await logitsOf(session, rows, tokens, images)
      const error = maxRelativeError([...got[0]!, ...got[1]!], want.get('logits')!.data)
      assert.ok(error <= said(name).relative_tolerance, String(error))
      for (let n = 0; n < more; n++) {
        const logits = await logitsOf(session, rows, tokens, images)
        const vocab = want.get('logits')!.shape[2]!
        for (const [r, row] of rows.entries()) row.push(largest(logits[r]!.slice(-vocab)))
      }
      assert.equal(
        rows.flatMap((row) => row.slice(length)),
        [...greedy.data],
      )
      await orThrow(session.close())
    })

test('what transformers 4 and 5 write of the same weights is the same model', async () => {
  for (const name of names.filter((n) => n.endsWith('-v4'))) {
    const [four, five] = [
      await orThrow(pretrained(at(name), 'x')),
      await orThrow(pretrained(at(name.replace('-v4', '-v5')), 'x')),
    ]
    assert.equal(four.model.config, five.model.config)
    assert.equal([four.kind, four.source.keys.toSorted()], [five.kind, five.source.keys.toSorted()])
    // transformers 5 keeps experts otherwise in memory, so that the same seed drew others
    for (const key of name.includes('moe') ? [] : four.source.keys)
      assert.equal(
        await orThrow(four.source.read(key)),
        await orThrow(five.source.read(key)),
        `${name} ${key}`,
      )
  }
})

const editing = async (folder: string, change: (all: Map<string, Entry>) => void): Promise<void> => {
  const file = join(folder, 'model.safetensors')
  const stored = await orThrow(readSafetensors(file))
  const all = new Map<string, Entry>()
  for (const key of stored.keys) all.set(key, await orThrow(stored.tensor(key)))
  change(all)
  await orThrow(writeSafetensors(file, all))
}
const refused = async (folder: string): Promise<WeightsError> => {
  const got = await pretrained(folder)()
  if (got._tag === 'Right') throw new Error('it was opened')
  assert.instance(got.left, WeightsError)
  return got.left as WeightsError
}

test('what is read is what is there: missing keys and other shapes are errors that list them, unread keys are told', async () => {
  const folder = copyOf('qwen3-tied-v5')
  await editing(folder, (all) => {
    all.set('lm_head.weight', all.get('model.embed_tokens.weight')!)
    all.set('model.rotary.inv_freq', { dtype: 'F32', shape: [1], values: Float32Array.of(1) })
  })
  const { unread } = await orThrow(pretrained(folder))
  assert.equal(unread.toSorted(), ['lm_head.weight', 'model.rotary.inv_freq'])
  await editing(folder, (all) => {
    const norm = all.get('model.norm.weight')!
    all.delete('model.norm.weight')
    all.delete('model.layers.1.mlp.up_proj.weight')
    all.set('norm.weight', norm)
  })
  const missing = await refused(folder)
  assert.equal(
    [missing.tag, missing.keys.toSorted()],
    ['MissingKeys', ['model.layers.1.mlp.up_proj.weight', 'model.norm.weight']],
  )
  assert.match(
    missing.message,
    /lack 2 of the 24 keys.*model\.norm\.weight.*they have 3 that it does not: .*norm\.weight/,
  )
  const other = copyOf('qwen3-moe-v5')
  const config = join(other, 'config.json')
  writeFileSync(
    config,
    readFileSync(config, 'utf8').replace('"moe_intermediate_size": 24', '"moe_intermediate_size": 12'),
  )
  const shape = await refused(other)
  assert.equal([shape.tag, shape.keys.length], ['OtherShape', 12])
  assert.match(
    shape.message,
    /12 of 35 weights have other shapes.*experts\.0\.gate_proj\.weight is \[24,32\], not \[12,32\]/,
  )
  // an untied head that is not there
  const untied = copyOf('sail-vl2-tied-v4')
  const json = join(untied, 'config.json')
  writeFileSync(
    json,
    readFileSync(json, 'utf8').replace('"tie_word_embeddings": true', '"tie_word_embeddings": false'),
  )
  assert.equal((await refused(untied)).keys, ['language_model.lm_head.weight'])
})

test('an encoder of transformers: query, key and value are one matrix; one of them that is missing is told', async () => {
  const p = await orThrow(pretrained(at('aimv2-v5')))
  const qkv = 'vision_model.trunk.blocks.0.attn.qkv.weight'
  assert.equal(p.source.shape(qkv), [72, 24])
  const file = await orThrow(openCheckpoint(at('aimv2-v5')))
  const got = await orThrow(p.source.read(qkv))
  for (const [i, part] of ['q', 'k', 'v'].entries())
    assert.equal(
      got.data.slice(i * 24 * 24, (i + 1) * 24 * 24),
      await orThrow(file.floats(`encoder.layers.0.attention.${part}_proj.weight`)),
    )
  for (const [key, { axes }] of program({
    name: 'x',
    functions: { f: fixed(() => ({ outputs: { y: p.model.graph({}) } })) },
  }).states)
    assert.equal((await orThrow(p.source.read(key))).shape, sizes(axes), key)
  const folder = copyOf('aimv2-v5')
  await editing(folder, (all) => all.delete('encoder.layers.0.attention.k_proj.weight'))
  const error = await refused(folder)
  assert.equal([error.tag, error.keys], ['OtherShape', [qkv]])
})

test.run()
