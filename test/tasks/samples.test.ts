import { createHash } from 'node:crypto'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { corpusAt } from '../../src/tasks/corpus.ts'
import {
  contentKey,
  describeAt,
  describeSample,
  type Mixture,
  MixtureError,
  partitionOf,
  render,
  sampleAt,
} from '../../src/tasks/mixture.ts'
import { nanoTokenizer } from '../../src/tasks/nano.ts'
import { alphabet } from '../../src/tasks/patches.ts'
import {
  type Described,
  type Family,
  families,
  type Image,
  type Level,
  type Scene,
  type Split,
} from '../../src/tasks/sample.ts'

const even = { read: 1, count: 1, chart: 1, arithmetic: 1 }
const mixture = (split: Split, more: Partial<Mixture> = {}): Mixture => ({
  seed: 'test',
  split,
  weights: even,
  levels: [1, 3],
  ...more,
})
const pixels = (p: Image): string => createHash('sha1').update(p.data).digest('hex')
const scenes = <S extends Scene>(family: Family, n: number, level?: Level): readonly Described<S>[] =>
  Array.from({ length: n }, (_, i) =>
    describeSample(family, level ?? (((i % 3) + 1) as Level), 'train', `truth/${i}`),
  ) as unknown as readonly Described<S>[]

test('samples: the i-th depends on nothing but the mixture and i', () => {
  const m = mixture('train')
  const forward = Array.from({ length: 40 }, (_, i) => sampleAt(m, i))
  for (let i = 39; i >= 0; i--) {
    const again = sampleAt(m, i)
    assert.is(pixels(again.image), pixels(forward[i]!.image), `image ${again.id}`)
    assert.equal({ ...again, image: 0 }, { ...forward[i]!, image: 0 })
  }
  assert.equal(describeAt(m, 3), { ...describeAt(mixture('train'), 3) })
  assert.not.equal(describeAt(m, 3).scene, describeAt(mixture('train', { seed: 'other' }), 3).scene)
})

test('samples: a scene alone gives the image again, whatever was drawn before', () => {
  for (const family of families) {
    const [a, b, c] = scenes(family, 3, 3)
    const first = render(a!).image
    render(b!)
    render(c!)
    assert.is(pixels(render(structuredClone(a!)).image), pixels(first), family)
  }
})

test('mixture: weights and levels are kept', () => {
  const m = mixture('train', { weights: { read: 3, count: 1 }, levels: [2, 3] })
  const n = 1200
  const drawn = Array.from({ length: n }, (_, i) => describeAt(m, i))
  const share = drawn.filter((d) => d.family === 'read').length / n
  assert.ok(Math.abs(share - 0.75) < 0.05, `share of read: ${share}`)
  assert.equal([...new Set(drawn.map((d) => d.family))].sort(), ['count', 'read'])
  assert.equal([...new Set(drawn.map((d) => d.level))].sort(), [2, 3])
})

test('mixture: what cannot be drawn from is refused with a message', () => {
  const refused = (m: Mixture, i: number, message: RegExp) =>
    assert.throws(
      () => describeAt(m, i),
      (e: unknown) => e instanceof MixtureError && e.tag === 'BadMixture' && message.test(e.message),
    )
  refused(mixture('train', { weights: {} }), 0, /weight above 0/)
  refused(mixture('train', { weights: { read: -1 } }), 0, /'read' must be a number from 0/)
  refused(mixture('train', { levels: [3, 2] }), 0, /levels must be a pair/)
  refused(
    mixture('train', { levels: 3 as never }),
    0,
    /levels must be a pair \[lowest, highest\] out of 1 to 4, not 3/,
  )
  // another word than 'heldout' would draw what is trained on
  refused(mixture('heldOut' as Split), 0, /split must be one of bases, train, heldout, not 'heldOut'/)
  refused(mixture('train'), 1.5, /whole number/)
  refused(mixture('train'), -1, /whole number/)
})

test('held-out: no content and no image of it occurs in bases or training', () => {
  const n = 3000
  const contents = (split: Split) =>
    new Set(Array.from({ length: n }, (_, i) => contentKey(describeAt(mixture(split), i).scene)))
  const held = contents('heldout')
  for (const split of ['bases', 'train'] as const) {
    const others = contents(split)
    assert.is([...others].filter((key) => held.has(key)).length, 0, split)
    assert.ok([...others].every((key) => partitionOf(key) === 'training'))
  }
  assert.ok([...held].every((key) => partitionOf(key) === 'heldout'))
  assert.ok(held.size > n / 4, `only ${held.size} different held-out contents`)
  const images = (split: Split, m: number) =>
    Array.from({ length: m }, (_, i) => pixels(sampleAt(mixture(split), i).image))
  const heldImages = new Set(images('heldout', 300))
  assert.is(heldImages.size, 300)
  for (const split of ['bases', 'train'] as const)
    for (const image of images(split, 300)) assert.not(heldImages.has(image))
})

test('held-out: about one content in sixteen, and what the language model is pretrained with has none of them', () => {
  const keys = Array.from({ length: 4000 }, (_, i) => `read:${i}`)
  const share = keys.filter((k) => partitionOf(k) === 'heldout').length / keys.length
  assert.ok(Math.abs(share - 1 / 16) < 0.015, `share ${share}`)
  const corpus = { mixture: mixture('bases'), captions: 0.5, texts: 0.3 }
  let seen = 0
  for (let i = 0; i < 3000; i++) {
    const said = nanoTokenizer().decode(corpusAt(corpus, i).ids)
    const [, a, sign, b] = /(\d\d)([+-])(\d\d)\b/.exec(said) ?? []
    if (sign !== undefined) {
      const turned = sign === '+' && Number(b) < Number(a)
      const key = turned ? `${b}+${a}` : `${a}${sign}${b}`
      assert.is(partitionOf(`arithmetic:${key}`), 'training', key)
      seen++
    }
    const string = /\ntext (\w+),/.exec(said)?.[1]
    if (string === undefined) continue
    assert.is(partitionOf(`read:${string}`), 'training', string)
    seen++
  }
  assert.ok(seen > 900, `${seen} contents were looked at`)
})

test('held-out: every character, letter, count, value and digit occurs in training', () => {
  const drawn = Array.from({ length: 4000 }, (_, i) => describeAt(mixture('train', { levels: [3, 3] }), i))
  const said = (family: Family) => drawn.filter((d) => d.family === family)
  assert.is(new Set(said('read').flatMap((d) => [...d.final])).size, alphabet.length)
  assert.is(new Set(said('count').map((d) => d.final)).size, 10)
  assert.is(new Set(said('chart').map((d) => d.final)).size, 21 + 8)
  for (let digit = 0; digit < 10; digit++)
    assert.ok(said('arithmetic').some((d) => d.final.endsWith(`${digit}`)))
})

test.run()
