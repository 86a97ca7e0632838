/** Questions about several images: their truth, what is held out, and how they are laid out. */
import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { wholeImages } from '../../src/data/index.ts'
import { partitionOf } from '../../src/tasks/mixture.ts'
import { nanoProcessor } from '../../src/tasks/nano.ts'
import { splits } from '../../src/tasks/sample.ts'
import {
  severalAt,
  severalConversation,
  severalFamilies,
  severalImages,
  severalKey,
  severalQuestions,
  severalTruth,
} from '../../src/tasks/several.ts'

const test = suite('tasks over several images')

const any = fc.record({
  family: fc.constantFrom(...severalFamilies),
  seed: fc.integer({ min: 0, max: 9 }),
  split: fc.constantFrom(...splits),
  i: fc.nat(2000),
})
const sampleOf = ({ family, seed, split, i }: typeof any extends fc.Arbitrary<infer A> ? A : never) =>
  severalAt(family, seed, split, i)
/** What each image shows, in words. */
const looksOf = ({ scene }: ReturnType<typeof severalAt>): readonly string[] =>
  scene.images.map(({ shape }) => `${shape.colour} ${shape.kind}`)

test('the answer is the only true one, and says what each image shows', () => {
  fc.assert(
    fc.property(any, (where) => {
      const s = sampleOf(where)
      const looks = looksOf(s)
      assert.is(s.images.length, looks.length)
      assert.ok(looks.length >= 3 && looks.length <= 4)
      assert.is(new Set(looks).size, 2)
      assert.is(s.answer, `${looks.join(', ')}, so ${s.final}`)
      assert.is(s.final, String(severalTruth(s.scene)))
      if (s.family === 'differs') {
        const once = looks.flatMap((l, n) => (looks.filter((x) => x === l).length === 1 ? [n + 1] : []))
        assert.equal(once, [Number(s.final)])
      } else {
        const changed = looks.flatMap((l, n) => (n > 0 && l !== looks[n - 1] ? [n + 1] : []))
        assert.equal(changed, [Number(s.final)])
      }
    }),
    { numRuns: 60 },
  )
})

test('the shape that a scene names is the one that its image shows', () => {
  for (let i = 0; i < 20; i++) {
    const { images, scene } = severalAt(severalFamilies[i % 2]!, 'seen', 'train', i)
    for (const [n, image] of images.entries()) {
      const { shape } = scene.images[n]!
      const at = (Math.round(shape.y) * image.width + Math.round(shape.x)) * 3
      assert.equal([...image.data.subarray(at, at + 3)], [...shape.rgb])
    }
  }
})

test('a sample is a function of its place, and no content is on both sides', () => {
  fc.assert(
    fc.property(any, (where) => {
      const s = sampleOf(where)
      assert.equal(sampleOf(where), s)
      assert.is(partitionOf(severalKey(s.scene)), where.split === 'heldout' ? 'heldout' : 'training')
    }),
    { numRuns: 30 },
  )
  assert.throws(() => severalAt('differs', 0, 'train', -1), /a whole number from 0, not -1/)
})

test('no answer is much likelier than another, and some content is held out of each family', () => {
  for (const family of severalFamilies) {
    const finals = new Map<string, number>()
    for (let i = 0; i < 400; i++) {
      const { final } = severalAt(family, 'many', 'heldout', i)
      finals.set(final, (finals.get(final) ?? 0) + 1)
    }
    // guessing the commonest would be right at most half of the time
    assert.ok(Math.max(...finals.values()) < 200, `${family}: ${[...finals]}`)
    assert.is(finals.size, family === 'differs' ? 4 : 3)
  }
})

test('images are numbered, frames are frames, and both fit the example’s sizes', async () => {
  const p = nanoProcessor()
  const source = severalImages('laid').open()
  for (const family of severalFamilies) {
    const { example: c } = (await source.next()).value!
    const images = wholeImages(c)
    const label = family === 'changes' ? 'Frame' : 'Image'
    const text = p.tokenizer.decode(c.ids).replaceAll(/<img>(<IMG_CONTEXT>)+<\/img>/g, '*')
    const shown = images.map((_, i) => `${label}-${i + 1}: *\n`).join('')
    assert.ok(text.startsWith(`<|im_start|>user\n${shown}`), text)
  }
  const again = severalImages('laid').open(1)
  assert.equal(
    (await again.next()).value!.example,
    severalConversation(severalAt('changes', 'laid', 'train', 1)),
  )
  for (let i = 0; i < 60; i++) {
    const c = severalConversation(severalAt(severalFamilies[i % 2]!, 'sizes', 'train', i))
    assert.ok(c.ids.length <= 160 && c.promptLength <= 144, `${c.ids.length}`)
  }
})

test('a held-out question is right for its number alone, behind the last so', async () => {
  const asked = severalQuestions('q')
  for (const family of severalFamilies) {
    const { example: q } = (await asked[family].open().next()).value!
    assert.is(q.answerOf!(`red circle, red circle, blue circle, so ${q.expected}`), q.expected)
    assert.is(q.answerOf!('red circle, so many'), '')
    assert.ok(q.conversation.id.startsWith('heldout/'))
  }
})

test.run()
