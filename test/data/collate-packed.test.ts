/** Packs as arrays: each segment as it would stand in a row of its own, and numbers that keep them apart. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { CollateError, type CollateErrorTag, collateImages, collateText } from '../../src/data/collate.ts'
import { collatePacked } from '../../src/data/collate-packed.ts'
import type { Conversation } from '../../src/data/conversation.ts'
import type { Pack } from '../../src/data/pack.ts'
import { otherProcessor as p, pairAt } from '../support/other.ts'
import { thrown } from '../support/tiny.ts'

const packs = suite('data: packs as arrays')

const text = (id: string): Conversation => ({
  ...{ id, images: [], promptLength: 3 },
  // its first token is learnt too, which no token before it can be asked for
  ...{ ids: [0, 7, 15, 11, 1], lossMask: [true, false, false, true, true] },
})
const pack: Pack = { rows: [[pairAt(1), text('a'), pairAt(2)], [text('b'), pairAt(0)], [text('c')]] }
const all = pack.rows.flat()
const sizes = { rows: 4, tokens: 64, images: 7 }

packs('each segment is what it would be in a row of its own', () => {
  const b = collatePacked(pack, sizes, p)
  const alone = { rows: all.length, tokens: 32, images: 7 }
  const [own, seen] = [collateText(all, alone, p), collateImages(all, alone, p)]
  assert.equal(b.pixel_values, seen.pixel_values)
  let n = 0
  pack.rows.forEach((row, r) => {
    let at = r * sizes.tokens
    row.forEach((c, s) => {
      const length = c.ids.length
      const of = (x: Int32Array) => [...x.subarray(at, at + length)]
      const wanted = (x: Int32Array) => [...x.subarray(n * 32, n * 32 + length)]
      for (const name of ['input_ids', 'attention_mask', 'position_ids'] as const)
        assert.equal(of(b[name]), wanted(own[name]), `${name} of ${c.id}`)
      assert.equal(of(b.visual_index), wanted(seen.visual_index))
      assert.equal(of(b.labels), [-100, ...wanted(own.labels).slice(1)])
      assert.equal(of(b.segment_ids), new Array(length).fill(s + 1))
      at += length
      n++
    })
    const rest = (x: Int32Array) => new Set(x.subarray(at, (r + 1) * sizes.tokens))
    for (const [name, v] of [
      ['segment_ids', 0],
      ['position_ids', 0],
      ['attention_mask', 0],
      ['labels', -100],
      ['visual_index', -1],
      ['input_ids', p.pad],
    ] as const)
      assert.equal([...rest(b[name])], [v], name)
  })
  // a row that no sample has is all padding
  assert.ok(b.segment_ids.subarray(3 * sizes.tokens).every((s) => s === 0))
  assert.is(
    b.counted,
    all.reduce((k, c) => k + c.lossMask.slice(1).filter(Boolean).length, 0),
  )
})

packs('what does not fit is an error that names the sample, never a cut', async () => {
  const fails = async (tag: CollateErrorTag, sample: string, message: RegExp, of: Pack, s = sizes) => {
    const e = await thrown(() => collatePacked(of, s, p))
    assert.ok(e instanceof CollateError, String(e))
    assert.equal([e.tag, e.sample], [tag, sample])
    assert.match(e.message, message)
  }
  const one = (c: Partial<Conversation>): Pack => ({ rows: [[text('a'), { ...text('bad'), ...c }]] })
  await fails('TooMany', 'c', /a pack has 3 rows and the batch 2/, pack, { ...sizes, rows: 2 })
  await fails('TooMany', 'other/0', /an image too many: the batch holds 5/, pack, { ...sizes, images: 5 })
  await fails('TooLong', 'bad', /ends at token 10 of its row and a row holds 9/, one({}), {
    ...sizes,
    tokens: 9,
  })
  await fails('BadMask', 'bad', /a loss mask of 1/, one({ lossMask: [true] }))
  await fails('BadToken', 'bad', /the id 99 at place 4/, one({ ids: [0, 7, 15, 11, 99] }))
  await fails('ImageTokens', 'bad', /2 images but 0 image tokens/, one({ images: pairAt(0).images }))
  await fails('NothingToLearn', 'bad', /nothing to learn/, one({ lossMask: [true, ...Array(4).fill(false)] }))
  const [image] = pairAt(0).images
  const wide = { ...pairAt(3), images: [image!, { ...image!, width: 9 }] }
  await fails('BadImage', 'other/3', /9 × 8 pixels; this batch takes 8 × 8/, { rows: [[wide]] })
})

packs.run()
