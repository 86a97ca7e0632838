import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  type Batch,
  CollateError,
  type CollateErrorTag,
  type Conversation,
  collate,
  collatePictures,
  conversation,
  conversationAt,
  imagenetMean,
  imagenetNormalise,
  imagenetStd,
  noLoss,
  textConversation,
} from '../../src/data/collate.ts'
import { nanoTokenizer } from '../../src/data/tokens.ts'
import { denseWeights, labelledAt } from '../../src/tasks/dense.ts'
import { type Mixture, sampleAt } from '../../src/tasks/mixture.ts'
import { centreClasses, patchClasses } from '../../src/tasks/patches.ts'
import type { Picture } from '../../src/tasks/sample.ts'

const mixture: Mixture = {
  seed: 'collate',
  split: 'train',
  weights: { read: 1, count: 1, chart: 1, arithmetic: 1 },
  levels: [1, 3],
}
const tokenizer = nanoTokenizer()
const context = tokenizer.id('<IMG_CONTEXT>')
const row = (
  b: Batch,
  name: 'input_ids' | 'attention_mask' | 'position_ids' | 'labels' | 'visual_index',
  n: number,
) => [...b[name].subarray(n * b.length, (n + 1) * b.length)]

test('normalise: planes, scaled to 1, with ImageNet’s mean and deviation', () => {
  const picture: Picture = {
    width: 2,
    height: 1,
    channels: 3,
    data: new Uint8Array([255, 0, 51, 0, 255, 102]),
  }
  const out = imagenetNormalise(picture)
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
  const b = collate(rows, { batch: 5, length: 96, tiles: 4 })
  assert.is(b.input_ids.length, 5 * 96)
  assert.is(b.pixel_values.length, 4 * 3 * 112 * 112)
  let place = 0
  rows.forEach((c, n) => {
    const k = c.ids.length
    assert.equal(row(b, 'input_ids', n).slice(0, k), [...c.ids])
    assert.ok(
      row(b, 'input_ids', n)
        .slice(k)
        .every((id) => id === tokenizer.id('<|endoftext|>')),
    )
    assert.equal(row(b, 'attention_mask', n), [...new Array(k).fill(1), ...new Array(96 - k).fill(0)])
    assert.equal(
      row(b, 'position_ids', n),
      Array.from({ length: 96 }, (_, t) => (t < k ? t : 0)),
    )
    const labels = row(b, 'labels', n)
    assert.ok(labels.every((l, t) => l === (t >= c.promptLength && t < k ? c.ids[t] : noLoss)))
    assert.is(labels[k - 1], tokenizer.id('<|im_end|>'))
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
    assert.equal(pixels, imagenetNormalise(s.picture))
    const labels = (name: 'patch_labels' | 'patch_centres' | 'patch_values') => [
      ...b[name].subarray(tile * 64, (tile + 1) * 64),
    ]
    assert.equal(labels('patch_labels'), [...s.patches.classes])
    assert.equal(labels('patch_centres'), [...s.patches.centres])
    assert.equal(
      labels('patch_values'),
      [...s.patches.values].map((v) => (v < 0 ? noLoss : v)),
    )
  })
  assert.ok(b.pixel_values.subarray(3 * 3 * 112 * 112).every((v) => v === 0))
  assert.ok(b.patch_labels.subarray(3 * 64).every((v) => v === noLoss))
})

test('collate: any mix of rows keeps each row’s tokens and gives each picture its own 16 places', () => {
  const pool = Array.from({ length: 6 }, (_, i) => conversationAt({ mixture, captions: 0.5 }, i))
  const plain = textConversation('plain', { prompt: '12+34', answer: '12+34: 2+4=6, 1+3=4, so 46' })
  fc.assert(
    fc.property(fc.array(fc.nat(6), { minLength: 1, maxLength: 6 }), (picks) => {
      const rows = picks.map((n) => pool[n] ?? plain)
      const b = collate(rows, { batch: 6, length: 80 })
      const places = [...b.visual_index].filter((v) => v >= 0)
      const pictures = rows.reduce((n, c) => n + c.pictures.length, 0)
      return (
        places.length === pictures * 16 &&
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
  collate([c], { batch: 1, length: n })
  fails('TooLong', new RegExp(`${n} tokens and a row holds ${n - 1}`), c.id, () =>
    collate([c], { batch: 1, length: n - 1 }),
  )
  fails('TooMany', /2 conversations were given for 1 rows/, c.id, () =>
    collate([c, c], { batch: 1, length: 96 }),
  )
  fails('TooMany', /a picture too many/, c.id, () => collate([c, c], { batch: 2, length: 96, tiles: 1 }))
  fails('BadPicture', /112 × 112 pixels; this batch takes 224 × 224/, c.id, () =>
    collate([c], { batch: 1, length: 96, side: 224 }),
  )
  fails('VisualTokens', /0 pictures but 16 visual tokens/, c.id, () =>
    collate([{ ...c, pictures: [] }], { batch: 1, length: 96 }),
  )
})

test('dense pictures: full of labels, a function of the index, and collated with both label sets', () => {
  const m = { seed: 'dense', weights: denseWeights }
  const all = Array.from({ length: 60 }, (_, i) => labelledAt(m, i))
  const again = labelledAt(m, 17)
  assert.equal(again.picture.data, all[17]!.picture.data)
  assert.equal(again.patches, all[17]!.patches)
  const b = collatePictures(all, { tiles: 64 })
  assert.is(b.pixel_values.length, 64 * 3 * 112 * 112)
  assert.ok(b.patch_labels.subarray(0, 60 * 64).every((v) => v >= 0 && v < patchClasses.length))
  assert.ok(b.patch_centres.subarray(0, 60 * 64).every((v) => v >= 0 && v < centreClasses.length))
  assert.ok(b.patch_centres.subarray(60 * 64).every((v) => v === noLoss))
  const text = all.filter((l) => l.id.startsWith('dense/text'))
  assert.ok(text.length > 15)
  for (const l of text) {
    const middles = [...l.patches.centres].filter((v) => v > 0).length
    assert.ok(middles >= 8, `${l.id} has ${middles} characters`)
  }
  fails('TooMany', /the batch holds 2/, all[2]!.id, () => collatePictures(all, { tiles: 2 }))
})

test.run()
