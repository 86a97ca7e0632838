/** Images as tiles everywhere: the processor says it, every layout and every batch keeps to it, and what was stays as it was. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  type Chat,
  chatConversation,
  chatIds,
  chatPrompt,
  collateImages,
  conversation,
  conversations,
  type ImageReading,
  jsonl,
  multiScaleTiles,
  type Processor,
  ProcessorError,
  processor,
  promptIds,
  type RgbImage,
  resize,
  said,
  shown,
  singleTiles,
  unitConversation,
  visualIndex,
  wholeImages,
} from '../../src/data/index.ts'
import { readingInputs } from '../../src/rl/experience-batch.ts'
import { packExperiences } from '../../src/rl/experience-pack.ts'
import { nanoTokenizer } from '../../src/tasks/nano.ts'
import { thrown, tinyModel, tinyProcessor } from '../support/tiny.ts'

const test = suite('images as tiles')
const folder = mkdtempSync(join(tmpdir(), 'sailwright-tiles-'))
test.after(() => rmSync(folder, { recursive: true }))

const options = tinyModel.image
const { size, tokens } = options
const cutting = processor(nanoTokenizer(), { image: { ...options, tiling: { most: 6 } } })
const placesOf = (p: Processor, ids: readonly number[]): number =>
  ids.filter((id) => id === p.image!.placeholder).length

const image = (width: number, height: number): RgbImage => ({
  ...{ width, height, channels: 3 },
  data: Uint8Array.from({ length: width * height * 3 }, (_, i) => (i * 37) % 251),
})
const wide = image(64, 16)
const square = image(16, 16)
const files = { wide: join(folder, 'wide.png'), square: join(folder, 'square.png') }
test.before(async () => {
  for (const [name, { width, height, data }] of Object.entries({ wide, square }))
    await sharp(data, { raw: { width, height, channels: 3 } })
      .png()
      .toFile(join(folder, `${name}.png`))
})

test('a configuration says how images are cut, and one tile an image is what it ever was', () => {
  const imageOf = (p: Processor): unknown => (p.config as { readonly image: unknown }).image
  const common = { ...options, placeholder: '<IMG_CONTEXT>', open: '<img>', close: '</img>' }
  assert.equal(imageOf(tinyProcessor), common)
  assert.equal(imageOf(cutting), {
    ...common,
    tiling: { least: 1, most: 6, thumbnail: true, multiScale: false, budget: 64 },
  })
})

test('settings that cannot be are refused', async () => {
  for (const [tiling, what] of [
    [{ most: 0 }, /image\.tiling: most is 0/],
    [{ least: 4, most: 2 }, /least is 4 and most is 2/],
    [{ budget: 1.5 }, /budget is 1\.5/],
  ] as const)
    assert.throws(
      () => processor(nanoTokenizer(), { image: { ...options, tiling } }),
      (e: Error) => e instanceof ProcessorError && e.tag === 'BadSize' && what.test(e.message),
    )
})

const chat = (...turns: readonly Chat['turns'][number][]): Chat => ({ id: 'x', turns })
const picture = (path: string) => ({ type: 'image', image: { path } }) as const
const text = (words: string) => ({ type: 'text', text: words }) as const

test('rows, chats, exchanges and prompts give one image the same tiles and the same ids', async () => {
  const of = conversation(cutting, { id: 'x', request: 'what?', answer: 'red', images: [wide] })
  assert.is(of.images.length, 5)
  assert.is(placesOf(cutting, of.ids), 5 * tokens)
  assert.equal(of.uncut, [wide])
  const parts = [picture(files.wide), text('\nwhat?')]
  const asked = { role: 'user', parts } as const
  const whole = await chatConversation(cutting, chat(asked, { role: 'assistant', parts: [text('red')] }))
  const prompt = await chatPrompt(cutting, 'x', [asked])
  writeFileSync(
    join(folder, 'rows.jsonl'),
    `${JSON.stringify({ image: 'wide.png', question: 'what?', answer: 'red' })}\n`,
  )
  const rows = conversations(jsonl(join(folder, 'rows.jsonl')), { processor: cutting })
  const { example } = (await rows.open().next()).value!
  for (const other of [whole, example]) assert.equal({ ...other, id: 'x' }, of)
  assert.equal(prompt.ids, of.ids.slice(0, of.promptLength))
  assert.equal(prompt.images, of.images)
})

test('several images of a chat stand where they are shown, each with its own tiles', async () => {
  const turns = [
    { role: 'user', parts: [text('a '), picture(files.square), text(' b '), picture(files.wide)] },
    { role: 'assistant', parts: [text('no')] },
    { role: 'user', parts: [picture(files.wide), text('c')] },
    { role: 'assistant', parts: [text('yes')] },
  ] as const
  const c = await chatConversation(cutting, chat(...turns))
  const shown = cutting.tokenizer
    .decode(c.ids)
    .replaceAll(/<img>((?:<IMG_CONTEXT>)+)<\/img>/g, (_, run: string) => `[${run.length / 13 / tokens}]`)
  const end = '<|im_end|>'
  assert.is(
    shown,
    `<|im_start|>user\na [1] b [5]${end}<|im_start|>assistant\nno${end}<|im_start|>user\n[5]c${end}<|im_start|>assistant\nyes${end}`,
  )
  assert.is(c.images.length, 11)
  assert.equal(wholeImages(c), [square, wide, wide])
})

test('the images of a chat share the budget of its tiles', async () => {
  const scarce = processor(nanoTokenizer(), { image: { ...options, tiling: { most: 6, budget: 4 } } })
  const parts = [picture(files.wide), picture(files.wide)]
  const { images } = await chatPrompt(scarce, 'x', [{ role: 'user', parts }])
  // two tiles and the whole of each
  assert.is(images.length, 6)
  const alone = await chatPrompt(scarce, 'x', [{ role: 'user', parts: parts.slice(1) }])
  assert.is(alone.images.length, 5)
})

test('two scales are for the only image of a conversation', () => {
  const both = processor(nanoTokenizer(), { image: { ...options, tiling: { most: 4, multiScale: true } } })
  const of = (...images: readonly RgbImage[]) =>
    conversation(both, { id: 'x', request: 'a', answer: 'b', images })
  assert.equal(of(wide).images, multiScaleTiles(wide, { most: 4, size }))
  assert.is(of(wide, wide).images.length, 10)
  assert.ok(of(wide).images.length <= both.image!.most)
})

test('ids that are asked for without the images are refused where they depend on them', async () => {
  const e = await thrown(() =>
    chatIds(
      cutting,
      chat({ role: 'user', parts: [picture(files.wide)] }, { role: 'assistant', parts: [text('a')] }),
    ),
  )
  assert.match(e.message, /depends on the image here/)
  assert.throws(() => promptIds(cutting, { request: 'a' }, 1), /depends on the image/)
  assert.is(placesOf(tinyProcessor, promptIds(tinyProcessor, { request: 'a' }, 2)), 2 * tokens)
})

test('an image of another size is stretched to its one tile; what is kept is no larger than the tiles', () => {
  const of = (p: Processor, i: RgbImage) =>
    conversation(p, { id: 'x', request: 'a', answer: 'b', images: [i] })
  assert.equal(of(tinyProcessor, wide).images, [resize(wide, size, size)])
  assert.is(of(tinyProcessor, square).images[0], square)
  const { uncut, images } = of(cutting, image(400, 100))
  const pixels = uncut![0]!.width * uncut![0]!.height
  assert.ok(pixels <= images.length * size * size && pixels > 0.8 * images.length * size * size)
  assert.ok(Math.abs(uncut![0]!.width / uncut![0]!.height - 4) < 0.3)
})

test('in a batch the places of tiles follow one another, of conversations and of experiences', () => {
  const some = [wide, square].map((i, n) =>
    conversation(cutting, { id: String(n), request: 'a', answer: 'b', images: [i] }),
  )
  const { visual_index, pixel_values } = collateImages(some, { rows: 2, tokens: 120, images: 6 }, cutting)
  const places = [...visual_index].filter((i) => i >= 0)
  assert.equal(
    places,
    Array.from({ length: 6 * tokens }, (_, i) => i),
  )
  assert.is(pixel_values.length, 6 * 3 * size * size)
  assert.throws(
    () => collateImages(some, { rows: 2, tokens: 120, images: 5 }, cutting),
    /sample 1 has an image too many: the batch holds 5/,
  )
  // two completions of the first task share its prompt, and so its tiles
  const experience = (c: (typeof some)[number], id: string) => ({
    ...{ id, images: c.images, promptIds: c.ids.slice(0, c.promptLength), ids: [5], oldLogProbs: [0] },
    advantage: 1,
  })
  const sizes = { rows: 1, tokens: 300, images: 6, completions: 3, answer: 1 }
  const [a, b] = some as [(typeof some)[number], (typeof some)[number]]
  const [pack, ...more] = packExperiences(
    [experience(b, 'b'), experience(a, 'a0'), experience(a, 'a1')],
    sizes,
    cutting,
  )
  assert.is(more.length, 0)
  const { inputs } = readingInputs(pack!, [sizes], cutting)
  assert.equal(
    [...inputs.visual_index!.data].filter((i) => Number(i) >= 0),
    Array.from({ length: 6 * tokens }, (_, i) => i),
  )
})

test('an encoder whose tokens depend on the size of an image needs but a reading', async () => {
  // a token for 4 × 4 pixels, of the image as it is
  const reading: ImageReading = {
    config: { kind: 'by size' },
    cut: (images) => images.map((i) => [i.image]),
    tokensOf: ({ width, height }) => (width * height) / 16,
    most: 1,
  }
  const p = processor(nanoTokenizer(), { image: { ...options, reading } })
  assert.equal((p.config as { readonly image: { readonly tiling: unknown } }).image.tiling, {
    kind: 'by size',
  })
  const c = await chatConversation(
    p,
    chat(
      { role: 'user', parts: [picture(files.wide), picture(files.square)] },
      { role: 'assistant', parts: [text('a')] },
    ),
  )
  assert.equal(c.images, [wide, square])
  assert.is(placesOf(p, c.ids), 64 + 16)
  const index = visualIndex([c, c], { rows: 2, tokens: 120, images: 10 }, p)
  assert.equal(
    [...index].filter((i) => i >= 0),
    Array.from({ length: 160 }, (_, i) => i),
  )
})

test("a reading of one's own that answers with too few tiles, or other tokens than the encoder makes, is refused", () => {
  const own = (changed: Partial<ImageReading>) => () => {
    const reading = { ...singleTiles(size, tokens), ...changed } as ImageReading
    const p = processor(nanoTokenizer(), { image: { ...options, reading } })
    unitConversation(p, 'one', [shown(wide), said('?')], { answer: 'a' })
  }
  own({})()
  for (const [changed, what] of [
    [{ cut: () => undefined as never }, /reading\.cut: asked for 1 it gave undefined/],
    [{ cut: () => [] }, /reading\.cut: asked for 1 it gave tiles of 0/],
    [{ cut: () => [[]] }, /reading\.cut: of image 1 of 1 it gave no tile/],
    [{ tokensOf: () => 1.5 }, /reading\.tokensOf: it is 1\.5; give a whole number/],
    [
      { tokensOf: () => tokens - 1 },
      new RegExp(`of ${size} × ${size} pixels, for which the encoder makes ${tokens}`),
    ],
  ] as const)
    assert.throws(own(changed), (e: Error) => e instanceof ProcessorError && what.test(e.message))
})

test.run()
