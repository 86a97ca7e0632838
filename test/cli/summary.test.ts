/** How a model reads pictures and what training it takes, as `sailwright summary` tells it; folders of published models. */
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import sharp from 'sharp'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { processor, type RgbImage, readWholeImage, shown, unitConversation } from '../../src/data/index.ts'
import { type Entry, readSafetensors, writeSafetensors } from '../../src/formats/index.ts'
import { nano, presets, toPublished } from '../../src/models/index.ts'
import { nanoModel, nanoTokenizer } from '../../src/tasks/index.ts'
import { stepMemory } from '../../src/train/internal.ts'
import { orThrow } from '../../src/train/task.ts'
import { fixturePath } from '../support/fixtures.ts'
import { commandIn } from '../support/in-process.ts'

const test = suite('cli: summary of pictures and of memory')
const root = mkdtempSync(join(tmpdir(), 'sailwright-summary-'))
test.after(() => rmSync(root, { recursive: true, force: true }))

const command = commandIn(root)
const cli = (...words: readonly string[]) => command(['summary', ...words])
const json = async (...words: readonly string[]) => {
  const { code, out, err } = await cli(...words, '--json')
  assert.is(code, 0, err)
  return JSON.parse(out)
}
const still = (width: number, height: number, red = 200) =>
  sharp({ create: { width, height, channels: 3, background: { r: red, g: 0, b: 0 } } }).png()

test('pictures: tiles and tokens are those of a conversation', async () => {
  await still(300, 200).toFile(join(root, 'a.png'))
  await still(100, 100).toFile(join(root, 'b.png'))
  const frames = await Promise.all([0, 100, 200].map((red) => still(40, 30, red).toBuffer()))
  await sharp(frames, { join: { animated: true } })
    .gif({ delay: [100, 100, 100] })
    .toFile(join(root, 'c.gif'))
  const images: RgbImage[] = []
  for (const name of ['a.png', 'b.png']) images.push(await readWholeImage({ path: join(root, name) }))
  for (const most of [1, 6]) {
    const p = processor(nanoTokenizer(), { image: { ...nanoModel.image, tiling: { most } } })
    const c = unitConversation(p, 'a', images.map(shown), { answer: '' })
    const read = await json('nano', '--pictures', 'a.png', 'b.png', '--tiles', String(most))
    assert.is(read.tiles, c.images.length)
    assert.is(read.tokens, c.ids.filter((id) => id === p.image!.placeholder).length)
  }
  const text = await cli('nano', '--tiles', '6', '--pictures', 'a.png', 'c.gif')
  assert.match(text.out, /a\.png +300 × 200 +3 × 2 tiles of 112 × 112, and the whole +112\n/)
  assert.match(text.out, /c\.gif +3 frames of 40 × 30 +1 tile of 112 × 112, each frame +48\n/)
  assert.match(text.out, /nano reads them as 160 tokens: 10 tiles of 16/)
  const squares = await cli('nano-anyres', '--pictures', 'a.png')
  assert.match(squares.out, /300 × 200 +11 × 7 squares of 28 × 28 +77\n/)
  const uncut = await cli('nano-anyres', '--tiles', '4', '--pictures', 'a.png')
  assert.equal([uncut.code, uncut.out], [2, ''])
  assert.match(uncut.err, "'nano-anyres' reads pictures of any size, uncut; leave --tiles out")
  const single = await cli('nano', '--pictures', 'b.png', '--tiles', '1')
  assert.match(single.out, 'nano reads them as 16 tokens: 1 tile of 16;')
})

test('pictures: a published folder says itself into how many tiles they are cut', async () => {
  const folder = join(root, 'tiled')
  mkdirSync(folder)
  await still(300, 100).toFile(join(root, 'wide.png'))
  const config = (words: object): void =>
    writeFileSync(
      join(folder, 'config.json'),
      JSON.stringify({ ...toPublished({ kind: 'vision-language', config: nano }), ...words }),
    )
  const told = async (...words: readonly string[]) =>
    (await json(folder, '--pictures', 'wide.png', ...words)).pictures[0].read
  config({})
  assert.is(await told(), '3 × 1 tiles of 112 × 112, and the whole')
  config({ dynamic_image_size: true, max_dynamic_patch: 2 })
  assert.is(await told(), '2 × 1 tiles of 112 × 112')
  config({ dynamic_image_size: true, max_dynamic_patch: 2, use_thumbnail: true })
  assert.is(await told(), '2 × 1 tiles of 112 × 112, and the whole')
  assert.is(await told('--tiles', '3'), '3 × 1 tiles of 112 × 112, and the whole')
})

test('a published folder: whether its weights are those of the model, what is missing, what is not read', async () => {
  const folder = join(root, 'published')
  cpSync(fixturePath('published/aimv2-v5'), folder, { recursive: true })
  const last = async (code = 0) => {
    const told = await cli('published')
    assert.is(told.code, code, told.err)
    if (code !== 0) assert.match(told.err, 'Its weights do not make this model.')
    return told.out.trim().split('\n').at(-1)!
  }
  assert.match(await last(), /^Its weights are those of this model: all \d+ are read\.$/)
  const file = join(folder, 'model.safetensors')
  const stored = await orThrow(readSafetensors(file))
  const all = new Map<string, Entry>()
  for (const key of stored.keys) all.set(key, await orThrow(stored.tensor(key)))
  all.set('head.cls_token', { dtype: 'F32', shape: [1], values: Float32Array.of(1) })
  await orThrow(writeSafetensors(file, all))
  assert.match(await last(), /^\d+ of its weights are read; not read, .* no place for it: head\.cls_token$/)
  assert.equal((await json('published')).weights.unread, ['head.cls_token'])
  all.delete('rms_norm.weight')
  await orThrow(writeSafetensors(file, all))
  assert.match(await last(1), /^Its weights do not make this model\. .* lack 1 of .*post_trunk_norm\.weight/)
  writeFileSync(file, 'no weights')
  assert.match(await last(1), /^Its weights do not make this model\. .*model\.safetensors: /)
  rmSync(file)
  assert.not.match((await cli('published')).out, 'weights')
})

test('plan: by what is trained and by length, as it is counted; of an experiment by stage', async () => {
  const plan = await json('nano', '--plan', '--batch', '2', '--tokens', '40')
  assert.equal(
    plan.rows.map((r: { trains: string }) => r.trains),
    [
      'everything',
      'vision',
      'adapter',
      'language',
      'LoRA of rank 16',
      'LoRA of rank 16, the rest in 16 bits',
    ],
  )
  const sizes = { rows: 2, tokens: 40, images: 2 }
  const { together, fits, trains, ...first } = plan.rows[0]
  const counted = stepMemory({ model: nanoModel, train: Object.values(nanoModel.parts), sizes })
  assert.equal(first, { ...sizes, ...counted })
  assert.is(
    together,
    counted.weights +
      counted.optimizer +
      counted.gradients +
      counted.activations +
      counted.working +
      counted.others,
  )
  assert.equal([fits, trains], [together < plan.availableBytes, 'everything'])
  // of each language matrix of 4 layers two factors of rank 16
  const { hiddenSize: e, intermediateSize: h, heads, headDim } = nano.language
  const adapters = 4 * 16 * (4 * (e + heads * headDim) + 3 * (e + h))
  assert.is(plan.rows[4].trained, adapters)
  const [whole, stored] = plan.rows.slice(4)
  assert.is(stored.weights, whole.storedWeights)
  assert.ok(stored.weights < 0.6 * whole.weights && stored.together < whole.together)
  const text = await cli('nano', '--plan', '--tokens', '40')
  assert.match(
    text.out,
    /everything +2,550,880 +1 × 40 +10\.2 MB +10\.2 MB +20\.4 MB +[\d.]+ [kM]?B +[\d.]+ [kM]?B +[\d.]+ [kM]?B +yes\n/,
  )
  assert.match(text.out, /Here [\d.]+ [GM]B of [\d.]+ GB are available/)
  const experts = await json('moe-nano', '--plan', '--tokens', '40')
  assert.is(experts.rows[4].trained, 4 * 16 * 4 * (e + heads * headDim))
  const stages = await json(resolve('examples/several-images.ts'), '--plan')
  assert.equal(
    stages.rows.map((r: { trains: string; trained: number }) => [r.trains, r.trained]),
    [
      ['stage align', 108_864],
      ['stage several', 1_462_240],
    ],
  )
})

test('a folder of a published model: its config.json says what it is', async () => {
  const folder = join(root, 'mine')
  mkdirSync(folder)
  const config = toPublished(presets['qwen3-0.6b']!)
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config))
  const told = await json('mine', '--depth', '0')
  assert.equal([told.name, told.parameters], ['mine', 596_049_920])
  const plan = await json(folder, '--plan', '--tokens', '16')
  assert.is(plan.rows[0].weights, 4 * 596_049_920)
  rmSync(join(folder, 'config.json'))
  const { code, err } = await cli('mine')
  assert.is(code, 1)
  assert.match(err, /config\.json: cannot be read \(ENOENT\); give the folder of a published model/)
})

test('what cannot be shown is said', async () => {
  const cases: readonly (readonly [words: readonly string[], code: number, says: RegExp])[] = [
    [['nano', '--pictures'], 2, /--pictures needs <file …>/],
    [['nano', '--pictures', 'none.png'], 1, /none\.png: there is no such file/],
    [['nano', '--plan', '--pictures', 'a.png'], 2, /only one of --pictures, --plan at a time/],
    [['nano', '--plan', '--mermaid'], 2, /only one of --mermaid, --plan at a time/],
    [['nano', '--tiles', '3'], 2, /--tiles is of --pictures/],
    [['nano', '--plan', '--depth', '2'], 2, /--plan has no --depth; leave one of both out/],
    [['nano', '--plan', '--svg', 'a.svg'], 2, /--plan has no --svg/],
    [['nano', '--batch', '2', '--pictures', 'a.png'], 2, /--pictures has no --batch/],
    [['qwen3-0.6b', '--pictures', 'a.png'], 2, /'qwen3-0\.6b' is no model that answers about pictures/],
    [['aimv2-large', '--plan'], 2, /'aimv2-large' writes no text/],
    [['--pictures', 'a.png', 'nano'], 2, /<model> is missing/],
  ]
  for (const [words, code, says] of cases) {
    const got = await cli(...words)
    assert.match(got.err, says)
    assert.is(got.code, code, got.err)
  }
})

test.run()
