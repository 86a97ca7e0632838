import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { conversation, processor } from '../../src/data/index.ts'
import { conversationAt, replyAt, sampleConversation } from '../../src/tasks/conversations.ts'
import type { ArithmeticScene } from '../../src/tasks/families/arithmetic.ts'
import type { ChartScene } from '../../src/tasks/families/chart.ts'
import type { CountScene } from '../../src/tasks/families/count.ts'
import type { ReadScene } from '../../src/tasks/families/read.ts'
import {
  contentKey,
  describeAt,
  type Mixture,
  MixtureError,
  partitionOf,
  sampleAt,
} from '../../src/tasks/mixture.ts'
import { maxThoughtLength, nanoProcessor, nanoTokenizer } from '../../src/tasks/nano.ts'
import { problemAt, problems } from '../../src/tasks/problems.ts'
import { families, isExact, type Scene } from '../../src/tasks/sample.ts'
import { rendered } from '../../src/tasks/sources.ts'

const hard = (family: string, split: Mixture['split'] = 'train'): Mixture => ({
  ...{ seed: 'hard', split, weights: { [family]: 1 }, levels: [4, 4] },
})

const test = suite('tasks: thoughts and the fourth level')

test('a thought stands between its two tokens, the result in a box, and both are learnt', () => {
  const p = nanoProcessor()
  for (const family of families) {
    const sample = sampleAt(hard(family), 3)
    const c = sampleConversation(sample, 'thought')
    const written = c.ids.slice(c.promptLength)
    assert.is(
      nanoTokenizer().decode(written),
      `<think>${sample.steps}</think>\\boxed{${sample.final}}<|im_end|>`,
    )
    assert.equal(
      written.filter((id) => id === p.thought!.open || id === p.thought!.close),
      [p.thought!.open, p.thought!.close],
    )
    assert.ok(
      c.lossMask.slice(c.promptLength).every(Boolean) && !c.lossMask.slice(0, c.promptLength).some(Boolean),
    )
    assert.ok(isExact(sample, nanoTokenizer().decode(written)))
    // a wrong box behind right steps is wrong
    assert.not(isExact(sample, `<think>${sample.steps}</think>\\boxed{${sample.final}0}`))
    assert.is(
      nanoTokenizer().decode(sampleConversation(sample, 'direct').ids.slice(-1 - [...sample.final].length)),
      `${sample.final}<|im_end|>`,
    )
  }
})

test('the steps of a thought stand as far from the image and the question as those of a plain answer', () => {
  const { image, thought } = nanoProcessor()
  for (const family of ['count', 'chart', 'arithmetic'])
    for (let i = 0; i < 50; i++) {
      const sample = sampleAt({ ...hard(family), levels: [1, 4] }, i)
      const [plain, thinking] = [sampleConversation(sample, 'answer'), sampleConversation(sample, 'thought')]
      const steps = nanoTokenizer().encodeText(sample.steps).length
      assert.ok(steps > 0)
      assert.is(thinking.ids[thinking.promptLength], thought!.open)
      const [seen, seenBefore] = [plain, thinking].map((c) => c.ids.lastIndexOf(image!.placeholder))
      const distance = plain.promptLength - seen!
      assert.is(thinking.promptLength + 1 - seenBefore!, distance)
      assert.equal(
        thinking.ids.slice(thinking.promptLength + 1, thinking.promptLength + 1 + steps),
        plain.ids.slice(plain.promptLength, plain.promptLength + steps),
      )
      // what is asked stands where it stood, but for the mark that closes it
      const told = (c: typeof plain, from: number): readonly number[] =>
        c.ids.slice(from + 1, from + distance)
      const differs = told(plain, seen!).findIndex((id, at) => id !== told(thinking, seenBefore!)[at])
      assert.match(nanoTokenizer().decode([told(plain, seen!)[differs]!]), /^[?.]$/)
    }
})

test('what a user writes opens no thought, and a processor without its tokens refuses one', () => {
  const p = nanoProcessor()
  const c = conversation(p, { id: 'x', request: '<think>no</think>', thought: 'yes', answer: '<think>' })
  assert.is(c.ids.filter((id) => id === p.thought!.open).length, 1)
  const plain = processor(nanoTokenizer())
  assert.throws(
    () => conversation(plain, { id: 'x', request: 'a', thought: 'b', answer: 'c' }),
    (e: Error) => /has a thought, and the processor has no tokens for it/.test(e.message),
  )
})

test('every conversation of any level and kind fits maxThoughtLength', () => {
  let longest = 0
  for (const family of families)
    for (let i = 0; i < 150; i++)
      for (const reply of ['thought', 'caption', 'answer', 'direct'] as const)
        longest = Math.max(longest, sampleConversation(sampleAt(hard(family), i), reply).ids.length)
  assert.ok(longest <= maxThoughtLength && longest > maxThoughtLength - 16, `longest ${longest}`)
})

const scenesOf = <S extends Scene>(family: S['family'], n: number): readonly S[] =>
  Array.from({ length: n }, (_, i) => describeAt(hard(family), i).scene as S)

test('the fourth level is beyond the third', () => {
  for (const s of scenesOf<ReadScene>('read', 60)) assert.ok(s.text.length >= 5 && s.text.length <= 7)
  for (const s of scenesOf<CountScene>('count', 60)) assert.ok(s.shapes.length >= 9 && s.shapes.length <= 12)
  for (const s of scenesOf<ChartScene>('chart', 60)) {
    assert.ok(s.bars.length >= 6 && s.bars.length <= 7)
    assert.not(s.style.written)
  }
  for (const s of scenesOf<ArithmeticScene>('arithmetic', 60)) assert.ok(s.third !== undefined)
})

test('the steps of three numbers are right, each of them', () => {
  for (let i = 0; i < 300; i++) {
    const { scene, steps, final } = describeAt(hard('arithmetic'), i)
    const { a, b, sign, third } = scene as ArithmeticScene
    const first = sign === '+' ? a + b : a - b
    assert.is(Number(final), third!.sign === '+' ? first + third!.c : first - third!.c)
    assert.ok(steps.includes(`, ${first}${third!.sign}${third!.c}: `))
    for (const [, left, right] of steps.matchAll(/([\d+-]+)=(\d+)/g)) {
      const value = [...left!.matchAll(/[+-]?\d+/g)].reduce((sum, m) => sum + Number(m[0]), 0)
      assert.is(value, Number(right), `${left}=${right} in ${steps}`)
    }
  }
})

test('problems: the i-th is the same however it is reached, and held-out contents stay held out', async () => {
  const source = problems(hard('arithmetic'))
  const stream = source.open()
  const first = [await stream.next(), await stream.next()].map((x) => x.value!)
  await stream.return?.(undefined)
  const again = source.open(first[0]!.next)
  const second = (await again.next()).value!.example
  assert.is(second.id, first[1]!.example.id)
  assert.equal(second, first[1]!.example)
  await again.return?.(undefined)
  assert.equal(first[1]!.example, problemAt(hard('arithmetic'), 1))
  const sample = sampleAt(hard('arithmetic'), 1)
  for (const reply of ['thought', 'direct'] as const) {
    const { columns, prompt } = problemAt(hard('arithmetic'), 1, reply)
    assert.equal([columns.answer, columns.steps], [sample.final, sample.steps])
    assert.equal(prompt, sampleConversation(sample, reply))
  }
  for (const family of families)
    for (let i = 0; i < 40; i++) {
      assert.is(partitionOf(contentKey(problemAt(hard(family), i).columns.scene)), 'training')
      assert.is(partitionOf(contentKey(problemAt(hard(family, 'heldout'), i).columns.scene)), 'heldout')
    }
})

test('replies: shares are kept, and without thoughts a mixture stays what it was', () => {
  const n = 4000
  const of = (shares: Parameters<typeof replyAt>[1]) =>
    Array.from({ length: n }, (_, i) => replyAt('r', shares, i))
  const all = of({ captions: 0.2, thoughts: 0.3, direct: 0.2, hasty: 0.2 })
  for (const [kind, share] of [
    ['caption', 0.2],
    ['thought', 0.3],
    ['direct', 0.2],
    ['hasty', 0.2],
    ['answer', 0.1],
  ] as const)
    assert.ok(Math.abs(all.filter((k) => k === kind).length / n - share) < 0.03, kind)
  const captions = of({ captions: 0.2 })
  assert.ok(captions.every((k, i) => (k === 'caption') === (all[i] === 'caption')))
  const mixture = { seed: 1, split: 'train', weights: { chart: 1 }, levels: [4, 4] } as const
  const c = conversationAt({ mixture, captions: 0, thoughts: 1 }, 0)
  assert.ok(c.ids.includes(nanoProcessor().thought!.open))
  const hasty = conversationAt({ mixture, captions: 0, hasty: 1 }, 0)
  assert.equal(hasty.ids.slice(0, hasty.promptLength), c.ids.slice(0, c.promptLength), 'asked alike')
  const final = problemAt(mixture, 0).columns.answer
  assert.is(nanoTokenizer().decode(hasty.ids.slice(hasty.promptLength)), `\\boxed{${final}}<|im_end|>`)
})

test('shares that cannot be are refused as they were given', () => {
  const mixture = hard('count')
  for (const [shares, why] of [
    [{ captions: '0.3' }, "rendered, captions: it is '0.3'; give a share from 0 to 1"],
    [{}, 'rendered, captions: it is undefined; give a share from 0 to 1'],
    [{ captions: 0, thoughts: -1 }, 'rendered, thoughts: it is -1; give a share from 0 to 1'],
  ] as const)
    assert.throws(
      () => rendered({ mixture, ...shares } as never),
      (e: unknown) => e instanceof MixtureError && e.message === why,
    )
  // one that may be left out may be undefined
  assert.ok(rendered(Object.assign({ mixture, captions: 0.3 }, { thoughts: undefined }) as never))
})

test.run()
