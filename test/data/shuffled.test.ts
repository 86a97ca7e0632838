/** Shuffling and splitting: nothing is lost, everything is determined, and every place is one to go on from. */
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { shuffled } from '../../src/data/shuffled.ts'
import { indexed, listed, repeated, type Source, SourceError } from '../../src/data/source.ts'
import { split } from '../../src/data/split.ts'
import { thrown, watched } from '../support/tiny.ts'

const orders = suite('data: shuffled and split')

const all = async <E>(source: Source<E>, place?: unknown, most = Infinity): Promise<[E, unknown][]> => {
  const got: [E, unknown][] = []
  for await (const { example, next } of source.open(place)) {
    got.push([example, next])
    if (got.length >= most) break
  }
  return got
}
const numbers = (n: number): readonly number[] => Array.from({ length: n }, (_, i) => i)
const firsts = <E>(got: readonly (readonly [E, unknown])[]): readonly E[] => got.map(([e]) => e)

orders('shuffled: a permutation by blocks, and every place goes on behind its example', () =>
  fc.assert(
    fc.asyncProperty(fc.nat(20), fc.integer({ min: 1, max: 8 }), fc.nat(), async (n, buffer, seed) => {
      const source = shuffled(listed('numbers', numbers(n)), { seed, buffer })
      const whole = await all(source)
      for (let at = 0; at < n; at += buffer)
        assert.equal(
          [...firsts(whole).slice(at, at + buffer)].sort((a, b) => a - b),
          numbers(n).slice(at, at + buffer),
        )
      assert.is(whole.length, n)
      for (const [i, [, place]] of whole.entries())
        assert.equal(await all(source, JSON.parse(JSON.stringify(place))), whole.slice(i + 1))
    }),
    { numRuns: 60 },
  ),
)

orders(
  'shuffled: of what is repeated each pass has another order, and a place in any pass goes on',
  async () => {
    const source = shuffled(repeated(listed('numbers', numbers(12))), { seed: 3, buffer: 12 })
    const whole = await all(source, undefined, 36)
    const passes = [0, 12, 24].map((at) => firsts(whole).slice(at, at + 12))
    for (const pass of passes)
      assert.equal(
        [...pass].sort((a, b) => a - b),
        numbers(12),
      )
    assert.is(new Set(passes.map(String)).size, 3)
    assert.is.not(String(passes[0]), String(numbers(12)))
    for (const i of [0, 11, 12, 20, 30])
      assert.equal(await all(source, whole[i]![1], 36 - i - 1), whole.slice(i + 1))
    const other = shuffled(repeated(listed('numbers', numbers(12))), { seed: 4, buffer: 12 })
    assert.is.not(String(firsts(await all(other, undefined, 12))), String(passes[0]))
  },
)

orders('shuffled: no more than the buffer is read ahead, and the source is closed', async () => {
  const source = watched((i) => i)
  for await (const _ of shuffled(source, { seed: 0, buffer: 5 }).open()) break
  assert.equal([source.given.length, source.opened, source.closed], [5, 1, 1])
})

orders('shuffled: wrong settings and places of other sources are refused', async () => {
  for (const buffer of [0, -1, 1.5, Number.NaN])
    assert.match((await thrown(() => shuffled(listed('l', []), { seed: 0, buffer }))).message, /whole number/)
  const source = shuffled(listed('numbers', numbers(9)), { seed: 0, buffer: 3 })
  for (const place of [1, null, { block: 0 }, { block: -1, given: 0 }, { block: 0, given: 3 }])
    assert.match((await thrown(() => all(source, place))).message, /opens at \{ block, given, source \}/)
})

/** A side's examples; none where it says that it is empty. */
const side = async <E>(source: Source<E>): Promise<readonly E[]> => {
  try {
    return firsts(await all(source))
  } catch (e) {
    if (e instanceof SourceError && e.tag === 'EmptySide') return []
    throw e
  }
}

orders('split: a side without an example says why', async () => {
  const told = async (examples: Source<number>, by: (n: number) => string): Promise<readonly string[]> => {
    const { train, heldOut } = split(examples, { heldOut: 0.5, by })
    const said: string[] = []
    for (const one of [train, heldOut])
      try {
        for await (const _ of one.open()) break
      } catch (e) {
        said.push((e as Error).message)
      }
    return said
  }
  const many = listed('numbers', numbers(40))
  assert.match(
    (await told(many, () => 'undefined')).join(),
    /has none of 40 examples; by gives 'undefined' for all/,
  )
  assert.match((await told(listed('one', [1]), String)).join(), /has none of 1 examples; take more/)
  assert.match(
    (await told(listed('none', []), String)).join(),
    /'train' has no example.*'heldOut' has no example/,
  )
  assert.match((await told(many, () => undefined as never)).join(), /by gives undefined; give a text/)
  const endless = indexed('numbers', function* (from) {
    for (let i = from; ; i++) yield i
  })
  assert.match((await told(endless, () => 'same')).join(), /none of 100000 examples; by gives 'same'/)
  assert.equal(await told(many, String), [])
  // a run that goes on may find nothing left on its side
  const { train } = split(many, { heldOut: 0.5, by: String })
  assert.equal(await all(train, 40), [])
})

orders('split: each example is on one side, all of one key on the same, whatever else there is', () =>
  fc.assert(
    fc.asyncProperty(fc.array(fc.nat(40), { maxLength: 60 }), fc.nat(9), async (keys, seed) => {
      const options = { heldOut: 0.3, by: (k: number) => `key ${k}`, seed }
      const { train, heldOut } = split(listed('keys', keys), options)
      const [a, b] = [await side(train), await side(heldOut)]
      assert.equal(
        [...a, ...b].sort((x, y) => x - y),
        [...keys].sort((x, y) => x - y),
      )
      assert.not.ok(a.some((k) => b.includes(k)))
      for (const k of new Set(keys)) {
        const alone = await side(split(listed('one', [k]), options).heldOut)
        assert.is(alone.length === 1, b.includes(k))
      }
    }),
    { numRuns: 40 },
  ),
)

orders('split: the share is that of the keys; its places are the source’s', async () => {
  const source = indexed('numbers', function* (from) {
    for (let i = from; i < 4000; i++) yield i
  })
  const { train, heldOut } = split(source, { heldOut: 1 / 16, by: String })
  const held = await all(heldOut)
  // 250 wanted, a standard deviation of 15
  assert.ok(held.length > 190 && held.length < 310, `${held.length}`)
  assert.equal(await all(heldOut, held[20]![1]), held.slice(21))
  assert.is((await all(train)).length, 4000 - held.length)
  for (const share of [0, 1, -1, 2, Number.NaN])
    assert.match(
      (await thrown(() => split(source, { heldOut: share, by: String }))).message,
      /between 0 and 1/,
    )
})

orders.run()
