import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  type BatchSizes,
  CollateError,
  type CollateErrorTag,
  collateImages,
  collateText,
  countedLabels,
  noLoss,
  pixelValues,
} from '../../src/data/collate.ts'
import { type Conversation, conversation as exchange } from '../../src/data/conversation.ts'
import { imagenetMean, imagenetNormalise, imagenetStd, type RgbImage } from '../../src/data/image.ts'
import { fitting, type ModelReads, ProcessorError, processor } from '../../src/data/processor.ts'
import type { TextTokenizer } from '../../src/data/tokenizer.ts'
import {
  sampleConversation as conversation,
  conversationAt,
  textConversation,
} from '../../src/tasks/conversations.ts'
import { denseWeights, labelledAt } from '../../src/tasks/dense.ts'
import { type Mixture, sampleAt } from '../../src/tasks/mixture.ts'
import { nanoProcessor, nanoTokenizer } from '../../src/tasks/nano.ts'
import { thrown } from '../support/tiny.ts'

const mixture: Mixture = {
  seed: 'collate',
  split: 'train',
  weights: { read: 1, count: 1, chart: 1, arithmetic: 1 },
  levels: [1, 3],
}
const tokenizer = nanoTokenizer()
const context = tokenizer.idOf('<IMG_CONTEXT>')!

/** Text and images of a batch, with its sizes. */
const collate = (conversations: readonly Conversation[], sizes: BatchSizes, p = nanoProcessor()) => ({
  ...sizes,
  ...collateText(conversations, sizes, p),
  ...collateImages(conversations, sizes, p),
})
type Batch = ReturnType<typeof collate>
const row = (
  b: Batch,
  name: 'input_ids' | 'attention_mask' | 'position_ids' | 'labels' | 'visual_index',
  n: number,
) => [...b[name].subarray(n * b.tokens, (n + 1) * b.tokens)]

test('normalise: planes, scaled to 1, with ImageNet’s mean and deviation', () => {
  const image: RgbImage = {
    width: 2,
    height: 1,
    channels: 3,
    data: new Uint8Array([255, 0, 51, 0, 255, 102]),
  }
  const out = imagenetNormalise(image)
  const expected = [1, 0, 0, 1, 0.2, 0.4].map((v, i) => {
    const ch = Math.floor(i / 2)
    return (v - imagenetMean[ch]!) / imagenetStd[ch]!
  })
  out.forEach((v, i) => {
    assert.ok(Math.abs(v - expected[i]!) < 1e-6, `value ${i}: ${v} for ${expected[i]}`)
  })
})

test('collate: rows, padding, positions, labels and visual places', () => {
  const samples = [0, 1, 2].map((i) => sampleAt(mixture, i))
  const rows: Conversation[] = [
    conversation(samples[0]!, 'caption'),
    textConversation('text', { prompt: '47+38', answer: '85' }),
    conversation(samples[1]!, 'answer'),
    conversation(samples[2]!, 'answer'),
  ]
  const b = collate(rows, { rows: 5, tokens: 96, images: 4 })
  assert.is(b.input_ids.length, 5 * 96)
  assert.is(b.pixel_values.length, 4 * 3 * 112 * 112)
  let place = 0
  rows.forEach((c, n) => {
    const k = c.ids.length
    assert.equal(row(b, 'input_ids', n).slice(0, k), [...c.ids])
    assert.ok(
      row(b, 'input_ids', n)
        .slice(k)
        .every((id) => id === tokenizer.idOf('<|endoftext|>')),
    )
    assert.equal(row(b, 'attention_mask', n), [...new Array(k).fill(1), ...new Array(96 - k).fill(0)])
    assert.equal(
      row(b, 'position_ids', n),
      Array.from({ length: 96 }, (_, t) => (t < k ? t : 0)),
    )
    const labels = row(b, 'labels', n)
    assert.ok(labels.every((l, t) => l === (t >= c.promptLength && t < k ? c.ids[t] : noLoss)))
    assert.is(labels[k - 1], tokenizer.idOf('<|im_end|>'))
    const places = row(b, 'visual_index', n)
    c.ids.forEach((id, t) => {
      assert.is(places[t], id === context ? place++ : -1)
    })
  })
  assert.is(place, 3 * 16)
  assert.ok(row(b, 'attention_mask', 4).every((m) => m === 0))
  assert.ok(row(b, 'labels', 4).every((l) => l === noLoss))
  samples.forEach((s, tile) => {
    const pixels = b.pixel_values.subarray(tile * 3 * 112 * 112, (tile + 1) * 3 * 112 * 112)
    assert.equal(pixels, imagenetNormalise(s.image))
  })
  assert.ok(b.pixel_values.subarray(3 * 3 * 112 * 112).every((v) => v === 0))
  assert.is(
    countedLabels(rows, b.labels, b),
    rows.reduce((n, c) => n + c.ids.length - c.promptLength, 0),
  )
})

test('collate: any mix of rows keeps each row’s tokens and gives each image its own 16 places', () => {
  const pool = Array.from({ length: 6 }, (_, i) => conversationAt({ mixture, captions: 0.5 }, i))
  const plain = textConversation('plain', { prompt: '12+34', answer: '12+34: 2+4=6, 1+3=4, so 46' })
  fc.assert(
    fc.property(fc.array(fc.nat(6), { minLength: 1, maxLength: 6 }), (picks) => {
      const rows = picks.map((n) => pool[n] ?? plain)
      const b = collate(rows, { rows: 6, tokens: 80, images: 6 })
      const places = [...b.visual_index].filter((v) => v >= 0)
      const images = rows.reduce((n, c) => n + c.images.length, 0)
      return (
        places.length === images * 16 &&
        places.every((v, i) => v === i) &&
        rows.every((c, n) => row(b, 'input_ids', n).slice(0, c.ids.length).join() === c.ids.join())
      )
    }),
    { numRuns: 20 },
  )
})

const fails = (tag: CollateErrorTag, message: RegExp, sample: string, run: () => unknown) =>
  assert.throws(
    run,
    (e: unknown) =>
      e instanceof CollateError && e.tag === tag && e.sample === sample && message.test(e.message),
  )

test('collate: what does not fit is an error that names the sample, never a cut', () => {
  const c = conversation(sampleAt(mixture, 0), 'caption')
  const n = c.ids.length
  const sizes = (rows: number, tokens: number, images = rows): BatchSizes => ({ rows, tokens, images })
  collate([c], sizes(1, n))
  fails('TooLong', new RegExp(`${n} tokens and a row holds ${n - 1}`), c.id, () =>
    collate([c], sizes(1, n - 1)),
  )
  fails('TooMany', /2 conversations were given for 1 rows/, c.id, () => collate([c, c], sizes(1, 96, 2)))
  fails('TooMany', /an image too many: the batch holds 1/, c.id, () => collate([c, c], sizes(2, 96, 1)))
  fails('BadImage', /112 × 112 pixels; this batch takes 224 × 224/, c.id, () => pixelValues([c], 1, 224))
  const [image] = c.images as [RgbImage]
  fails('BadImage', /with 3 bytes; three a pixel are 37632/, c.id, () =>
    pixelValues([{ ...c, images: [{ ...image, data: new Uint8Array(3) }] }], 1, 112),
  )
  fails('ImageTokens', /0 images but 16 image tokens; they take 0/, c.id, () =>
    collate([{ ...c, images: [] }], sizes(1, 96)),
  )
  fails('ImageTokens', /2 images but 16 image tokens/, c.id, () =>
    collate([{ ...c, images: [image, image] }], sizes(1, 96, 2)),
  )
  for (const id of [-1, 0.5, Number.NaN, tokenizer.size])
    fails('BadToken', new RegExp(`has the id ${id} at place 2; the tokenizer's ids are 0 to`), c.id, () =>
      collate([{ ...c, ids: c.ids.map((t, i) => (i === 2 ? id : t)) }], sizes(1, 96)),
    )
  fails('BadMask', /a loss mask of 1; give one for each/, c.id, () =>
    collate([{ ...c, lossMask: [true] }], sizes(1, 96)),
  )
})

test('a conversation with nothing to learn is refused, also where only its first token is', () => {
  const c = conversation(sampleAt(mixture, 0), 'caption')
  const sizes = { rows: 2, tokens: 96 }
  for (const lossMask of [c.ids.map(() => false), c.ids.map((_, t) => t === 0)]) {
    const rows = [c, { ...c, id: 'empty', lossMask }]
    const { labels } = collateText(rows, sizes, nanoProcessor())
    fails('NothingToLearn', /sample empty has nothing to learn/, 'empty', () =>
      countedLabels(rows, labels, sizes),
    )
  }
})

/** A tokenizer of somebody else: a character a token, other control words, id 5 an ordinary letter. */
const letters = [...'abcdefghijklmnopqrstuvwxyz \n?']
const own: TextTokenizer = {
  encode: (text) => [...text].map((c) => letters.indexOf(c)),
  encodeText: (text) => [...text].map((c) => letters.indexOf(c)),
  decode: (ids) => Array.from(ids, (id) => letters[id] ?? `<${id}>`).join(''),
  idOf: (token) => ({ '<s>': 40, '</s>': 41, '<pad>': 42, '<im>': 43, '<o>': 44, '<c>': 45 })[token],
  size: 46,
}
const ownProcessor = processor(own, {
  chat: { start: '<s>', end: '</s>', pad: '<pad>' },
  image: { size: 2, tokens: 4, placeholder: '<im>', open: '<o>', close: '<c>' },
})

test('another tokenizer and other images: ids, padding and places come from the processor', () => {
  const image = (v: number): RgbImage => ({
    width: 2,
    height: 2,
    channels: 3,
    data: new Uint8Array(12).fill(v),
  })
  const rows = [
    exchange(ownProcessor, { id: 'a', request: 'fff', answer: 'f', images: [image(10), image(20)] }),
    exchange(ownProcessor, { id: 'b', request: 'f', answer: 'ff', images: [image(30)] }),
  ]
  const b = collate(rows, { rows: 2, tokens: 48, images: 4 }, ownProcessor)
  const places = [...b.visual_index].filter((v) => v >= 0)
  assert.equal(places, [...Array(12).keys()], 'each image has four tokens of its own, in order')
  assert.ok(
    row(b, 'input_ids', 1)
      .slice(rows[1]!.ids.length)
      .every((id) => id === 42),
  )
  const first = (n: number): number => b.pixel_values[n * 12]!
  const red = (v: number): number => (v / 255 - imagenetMean[0]) / imagenetStd[0]
  for (const [n, v] of [10, 20, 30].entries()) assert.ok(Math.abs(first(n) - red(v)) < 1e-6)
  assert.is(first(3), 0)
})

test('a processor that cannot be, or that does not fit a model, is refused before any batch', async () => {
  const tag = async (make: () => unknown) => {
    const e = await thrown(make)
    assert.instance(e, ProcessorError)
    return `${(e as ProcessorError).tag}: ${e.message}`
  }
  const image = { size: 2, tokens: 4, placeholder: '<im>', open: '<o>', close: '<c>' }
  const chat = { start: '<s>', end: '</s>', pad: '<pad>' }
  assert.match(
    await tag(() => processor(own)),
    /^NoToken: processor, chat.start: .* no token '<\|im_start\|>'/,
  )
  assert.match(
    await tag(() => processor(own, { chat, image: { ...image, open: '<x>' } })),
    /image.open.*'<x>'/,
  )
  for (const tokens of [0, -1, 1.5, Number.NaN])
    assert.match(
      await tag(() => processor(own, { chat, image: { ...image, tokens } })),
      /^BadSize: processor, image.tokens: it is .*; give a whole number from 1/,
    )
  const reads: ModelReads = { name: 'm', vocabSize: 46, image: { size: 2, tokens: 4 } }
  fitting(ownProcessor, reads)
  assert.match(await tag(() => fitting(ownProcessor, { ...reads, vocabSize: 45 })), /ids to 45.*embeds 45/)
  assert.match(await tag(() => fitting(ownProcessor, { name: 'm', vocabSize: 46 })), /reads text alone/)
  assert.match(
    await tag(() => fitting(ownProcessor, { ...reads, image: { size: 2, tokens: 16 } })),
    /'m': image.tokens is 4 there and 16 in the model/,
  )
  assert.match(
    await tag(() =>
      exchange(processor(own, { chat }), { id: 'x', request: 'f', answer: 'f', images: [{} as RgbImage] }),
    ),
    /OtherModel: .*lays out none/,
  )
})

test('dense images: full of labels, a function of the index', () => {
  const m = { seed: 'dense', weights: denseWeights }
  const all = Array.from({ length: 60 }, (_, i) => labelledAt(m, i))
  const again = labelledAt(m, 17)
  assert.equal(again.image.data, all[17]!.image.data)
  assert.equal(again.patches, all[17]!.patches)
  const text = all.filter((l) => l.id.startsWith('dense/text'))
  assert.ok(text.length > 15)
  for (const l of text) {
    const middles = [...l.patches.centres].filter((v) => v > 0).length
    assert.ok(middles >= 8, `${l.id} has ${middles} characters`)
  }
})

test.run()
