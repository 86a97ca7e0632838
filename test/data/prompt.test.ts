/** Prompts as units: pictures and what stands for them cannot disagree, and nothing is cut through. */
import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  type Conversation,
  collateImages,
  conversation,
  layOutPrompt,
  numbered,
  ProcessorError,
  type PromptUnit,
  played,
  processor,
  promptIds,
  type RgbImage,
  said,
  shown,
  unitConversation,
  wholeImages,
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

const blank = (width: number, height: number): RgbImage => ({
  ...{ width, height, channels: 3 },
  data: new Uint8Array(width * height * 3),
})
/** The same tokenizer and model, with images in tiles. */
const cutting = processor(nanoTokenizer(), { image: { size, tokens, tiling: { most: 4 } } })

const units: fc.Arbitrary<readonly PromptUnit[]> = fc.array(
  fc.oneof(
    fc.constantFrom('red', 'what is it?', '<img>', '<IMG_CONTEXT>', '\n', '').map(said),
    fc.integer({ min: 1, max: 3 }).map((n) => played(Array.from({ length: n }, (_, i) => tile(i)))),
    fc
      .tuple(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 60 }))
      .map(([w, h]) => shown(blank(w, h))),
  ),
  { maxLength: 6 },
)

const opens = (ids: readonly number[]): number => ids.filter((id) => id === open).length

test('a text of more tokens than a call takes arguments is laid out, and cut', () => {
  const long = 'a b '.repeat(100_000)
  const { ids } = layOutPrompt(p, [said(long)])
  assert.ok(ids.length > 200_000)
  assert.ok(p.tokenizer.decode(ids).includes(long))
  assert.is(layOutPrompt(p, [said(long)], { tokens: 150_000 }).ids.length, 150_000)
})

test('whatever the units and the limit: places for pictures are as many as pictures, and none is cut through', () => {
  fc.assert(
    fc.property(units, fc.integer({ min: 20, max: 260 }), fc.constantFrom(p, cutting), (all, limit, p) => {
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
      // of each image that is there the whole one is, too
      assert.equal(short.uncut ?? [], (whole.uncut ?? []).slice(0, (short.uncut ?? []).length))
      assert.is(wholeImages(short).length, opens(short.ids))
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
      [said('first '), shown(tile(1)), said(' then '), shown(tile(2)), shown(tile(3))],
      exchange,
    ),
  ]
  const seen = collateImages(some, { rows: 1, tokens: 120, images: 3 }, p)
  assert.is(seen.visual_index.filter((i) => i >= 0).length, 3 * tokens)
})

test('so many images as are said stand in a prompt, of which no more is known', () => {
  const shown = (images: number): number =>
    promptIds(p, { request: 'Which?' }, images).filter((id) => id === p.image!.placeholder).length
  assert.equal([2, 3].map(shown), [2 * shown(1), 3 * shown(1)])
  assert.is(shown(0), 0)
  assert.ok(shown(1) > 0)
})

test('a row with columns of its own is an exchange; a name that may mean one that it lacks is refused', () => {
  const exchange = { id: 'a', request: 'what?', answer: 'red' }
  const row = {
    ...exchange,
    system: 'short',
    difficulty: 3,
    source: 'mine',
    answers: ['red'],
    note: undefined,
  }
  assert.equal(conversation(p, row), conversation(p, { ...exchange, system: 'short' }))
  for (const [odd, meant] of [
    ['sytem', 'system'],
    ['thoughts', 'thought'],
    ['image', 'images'],
  ] as const)
    assert.throws(
      () => conversation(p, Object.assign({ source: 'mine' }, exchange, { [odd]: 'x' })),
      new RegExp(
        `^conversation, ${odd}: there is no such setting; there are id, .* Did you mean '${meant}'\\?$`,
      ),
    )
  assert.throws(() => conversation(p, null as never), /^conversation, settings: it is null; give a record/)
})

test('tiles of one image stand between one pair of marks, and the image is kept beside them', () => {
  const wide = blank(2 * size, size)
  const { ids, images, uncut } = layOutPrompt(cutting, [shown(wide)])
  assert.is(images.length, 3)
  assert.is(opens(ids), 1)
  assert.equal(uncut, [wide])
  assert.is(layOutPrompt(p, [shown(wide)]).images.length, 1)
  assert.is(layOutPrompt(p, [shown(wide)]).uncut, undefined)
})

test('frames and numbered images stand behind their numbers', () => {
  const { tokenizer } = p
  const text = (all: readonly PromptUnit[]): string =>
    tokenizer.decode(layOutPrompt(p, all).ids).replaceAll(/<img>(<IMG_CONTEXT>)+<\/img>/g, '<image>')
  const asked = (words: string): string => `<|im_start|>user\n${words}<|im_end|><|im_start|>assistant\n`
  const two = [tile(1), tile(2)]
  assert.is(text([played(two), said('what?')]), asked('Frame-1: <image>\nFrame-2: <image>\nwhat?'))
  assert.is(text([...numbered(two), said('what?')]), asked('Image-1: <image>\nImage-2: <image>\nwhat?'))
})

test('a frame is one tile, whatever its shape, and frames take of the budget that images share', () => {
  const wide = blank(4 * size, size)
  const few = processor(nanoTokenizer(), { image: { size, tokens, tiling: { most: 4, budget: 6 } } })
  const tilesOf = (...all: readonly PromptUnit[]): number => layOutPrompt(few, all).images.length
  assert.is(tilesOf(shown(wide)), 5)
  assert.is(tilesOf(played([wide, wide])), 2)
  // four of the six for the image, then two, which its shape makes two tiles
  assert.is(tilesOf(played([wide, wide]), shown(wide)), 2 + 5)
  assert.is(tilesOf(played([wide, wide, wide, wide]), shown(wide)), 4 + 3)
  assert.is(tilesOf(shown(wide), shown(wide), shown(wide)), 3 * 3)
  assert.is(tilesOf(...Array.from({ length: 7 }, () => shown(wide))), 7)
})

test('what does not fit is refused, with what to do', () => {
  const blind = processor(nanoTokenizer())
  const refused = (build: () => unknown, message: RegExp): void =>
    assert.throws(build, (e: Error) => e instanceof ProcessorError && message.test(e.message))
  refused(() => layOutPrompt(blind, [shown(tile(1))]), /has images, and the processor lays out none/)
  refused(() => layOutPrompt(p, [said('a')], { tokens: 3 }), /may have 3 tokens, and \d+ stand around/)
  assert.throws(() => played([]), /there is no frame/)
})

test.run()
