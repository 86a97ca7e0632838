import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  boxed,
  countsOf,
  curate,
  type Exchange,
  lengthBalanced,
  notRedundant,
  overlap,
  unique,
} from '../../src/data/index.ts'

const chain = (id: string, more: Partial<Exchange> = {}): Exchange => ({
  ...{ id, request: `question ${id}`, thought: '2+2 is 4', answer: '\\boxed{4}' },
  ...more,
})
const grey = (value: number, width = 2) => ({
  ...{ width, height: 2, channels: 3 as const },
  data: new Uint8Array(width * 6).fill(value),
})

const test = suite('data: curation')

test('filters see what those before them kept, and nothing is lost', () => {
  const list = [chain('a'), chain('b', { thought: '' }), chain('c', { request: 'question a' }), chain('d')]
  const made = curate(unique, boxed)(list)
  assert.equal(
    made.kept.map((e) => e.id),
    ['a', 'd'],
  )
  assert.equal(
    made.dropped.map((d) => [d.example.id, d.by, d.why]),
    [
      ['c', 'unique', 'it asks what a asks'],
      ['b', 'boxed', 'it has no thought'],
    ],
  )
  assert.equal(countsOf(made), { unique: 1, boxed: 1 })
  assert.throws(
    () => curate({ name: 'odd', reasons: () => [] })(list),
    /'odd' gives 0 reasons for 4 examples/,
  )
})

test('unique: the image belongs to the question', () => {
  const same = { request: 'how many?' }
  const list = [
    chain('a', { ...same, images: [grey(1)] }),
    chain('b', { ...same, images: [grey(2)] }),
    chain('c', { ...same, images: [grey(1)] }),
    chain('d', { ...same, images: [grey(1), grey(1)] }),
    chain('e', { ...same, images: [grey(1, 4)] }),
    chain('f', { request: ' how many? ', images: [grey(2)] }),
  ]
  assert.equal(
    curate(unique)(list).kept.map((e) => e.id),
    ['a', 'b', 'd', 'e'],
  )
})

test('boxed: one box, with nested braces, after a thought without one', () => {
  const kept = (more: Partial<Exchange>): boolean => curate(boxed)([chain('x', more)]).kept.length === 1
  assert.ok(kept({ answer: 'so \\boxed{\\frac{1}{2}}.' }))
  for (const answer of ['4', '\\boxed{}', '\\boxed{ }', '\\boxed{4', '\\boxed{42', '\\boxed{4} \\boxed{4}'])
    assert.not(kept({ answer }), answer)
  assert.not(kept({ thought: 'it is \\boxed{4}' }))
  assert.not(kept({ thought: '  ' }))
})

test('notRedundant: a thought that only says the answer again goes', () => {
  assert.is(overlap('the answer is 4', 'the answer is 4'), 1)
  assert.is(overlap('a b c d', 'a b'), 0.5)
  // a word counts as often as the answer has it
  assert.is(overlap('a a a a', 'a'), 0.25)
  assert.is(overlap('', 'a'), 1)
  const list = [chain('long'), chain('echo', { thought: 'the 4', answer: 'the \\boxed{4}' })]
  assert.equal(
    curate(notRedundant(0.8))(list).kept.map((e) => e.id),
    ['long'],
  )
})

test('lengthBalanced: no bin is larger than allowed, small ones stay whole, whatever the order', () => {
  const lengthOf = (e: Exchange): number => e.thought!.length
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 80 }), (lengths) => {
      const list = lengths.map((n, i) => chain(`e${i}`, { thought: 'x'.repeat(n) }))
      const filter = lengthBalanced({ lengthOf, bin: 10, most: 1.2 })
      const { kept } = curate(filter)(list)
      const bins = (of: readonly Exchange[]) => {
        const n = new Map<number, number>()
        for (const e of of)
          n.set(Math.floor(lengthOf(e) / 10), (n.get(Math.floor(lengthOf(e) / 10)) ?? 0) + 1)
        return n
      }
      const [before, after] = [bins(list), bins(kept)]
      const limit = Math.max(1, Math.floor((1.2 * list.length) / before.size))
      for (const [bin, n] of before) assert.is(after.get(bin) ?? 0, Math.min(n, limit))
      const turned = curate(filter)([...list].reverse()).kept.map((e) => e.id)
      assert.equal([...turned].sort(), kept.map((e) => e.id).sort())
    }),
    { numRuns: 60 },
  )
  assert.throws(() => lengthBalanced({ lengthOf, bin: 0 }), /bin: it is 0/)
  assert.throws(
    () => curate(lengthBalanced({ lengthOf: () => Number.NaN, bin: 1 }))([chain('a')]),
    /a has length NaN/,
  )
})

test.run()
