/** Prompts as units: pictures and what stands for them cannot disagree, and nothing is cut through. */
import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  type Conversation,
  collateImages,
  conversation,
  dynamicTiles,
  layOutPrompt,
  ProcessorError,
  type PromptUnit,
  processor,
  type RgbImage,
  said,
  shown,
  unitConversation,
} from '../../src/data/index.ts'
import { nanoTokenizer } from '../../src/tasks/nano.ts'
import { tinyProcessor } from '../support/tiny.ts'

const test = suite('prompts of text and pictures')
const p = tinyProcessor
const { size, tokens, placeholder, open, close } = p.image!
const tile = (shade: number): RgbImage => ({
  ...{ width: size, height: size, channels: 3 },
  data: new Uint8Array(size * size * 3).fill(shade),
})

const units: fc.Arbitrary<readonly PromptUnit[]> = fc.array(
  fc.oneof(
    fc.constantFrom('red', 'what is it?', '<img>', '<IMG_CONTEXT>', '\n', '').map(said),
    fc.integer({ min: 1, max: 3 }).map((n) => shown(...Array.from({ length: n }, (_, i) => tile(i)))),
  ),
  { maxLength: 6 },
)

test('whatever the units and the limit: places for pictures are as many as pictures, and none is cut through', () => {
  fc.assert(
    fc.property(units, fc.integer({ min: 20, max: 160 }), (all, limit) => {
      const whole = layOutPrompt(p, all)
      assert.is(whole.lost, 0)
      const short = layOutPrompt(p, all, { tokens: limit })
      for (const { ids, images } of [whole, short]) {
        assert.is(ids.filter((id) => id === placeholder).length, images.length * tokens)
        const opened = ids.flatMap((id, i) => (id === open ? [i] : []))
        const closed = ids.flatMap((id, i) => (id === close ? [i] : []))
        assert.is(opened.length, closed.length)
        // between the two there are places alone, of whole tiles
        opened.forEach((from, k) => {
          const inside = ids.slice(from + 1, closed[k])
          assert.ok(inside.length > 0 && inside.length % tokens === 0)
          assert.ok(inside.every((id) => id === placeholder))
        })
      }
      assert.ok(short.ids.length <= limit)
      assert.is(short.lost === 0, short.ids.length === whole.ids.length && whole.ids.length <= limit)
      // it is the beginning of the whole one, with the same end behind it
      const end = layOutPrompt(p, []).ids.length - layOutPrompt(p, [said('')]).ids.indexOf(p.end)
      const kept = short.ids.slice(0, short.ids.length - end)
      assert.equal(kept, whole.ids.slice(0, kept.length))
      assert.equal(short.ids.slice(-end), whole.ids.slice(-end))
      assert.equal(short.images, whole.images.slice(0, short.images.length))
    }),
  )
})

test('one picture before a request is laid out as ever', () => {
  const exchange = { id: 'a', request: 'what?', answer: 'red', system: 'short' }
  const before: Conversation = conversation(p, { ...exchange, images: [tile(1)] })
  const now = unitConversation(p, 'a', [shown(tile(1)), said('\nwhat?')], exchange, { system: 'short' })
  assert.equal(now, before)
  // and a batch finds its pictures
  const some = [
    unitConversation(
      p,
      'b',
      [said('first '), shown(tile(1)), said(' then '), shown(tile(2), tile(3))],
      exchange,
    ),
  ]
  const seen = collateImages(some, { rows: 1, tokens: 120, images: 3 }, p)
  assert.is(seen.visual_index.filter((i) => i >= 0).length, 3 * tokens)
})

test('tiles of one picture stand between one pair of marks', () => {
  const wide: RgbImage = { width: 2 * size, height: size, channels: 3, data: new Uint8Array(6 * size * size) }
  const tiles = dynamicTiles(wide, { most: 2, size })
  const { ids, images } = layOutPrompt(p, [shown(...tiles)])
  assert.is(images.length, 3)
  assert.is(ids.filter((id) => id === open).length, 1)
})

test('what does not fit is refused, with what to do', () => {
  const blind = processor(nanoTokenizer())
  const refused = (build: () => unknown, message: RegExp): void =>
    assert.throws(build, (e: Error) => e instanceof ProcessorError && message.test(e.message))
  refused(() => layOutPrompt(blind, [shown(tile(1))]), /has a picture, and the processor lays out none/)
  const large = { ...tile(1), width: size + 1 }
  refused(() => layOutPrompt(p, [shown(large)]), /17 × 16 pixels, and the model reads 16 × 16; resize it/)
  refused(() => layOutPrompt(p, [said('a')], { tokens: 3 }), /may have 3 tokens, and \d+ stand around/)
  assert.throws(() => shown(), /there is no tile/)
})

test.run()
