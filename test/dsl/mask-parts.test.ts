/** Parts of masks: what they hold, and whether one can be true anywhere. */
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { evaluate } from '../../src/dsl/evaluate.ts'
import {
  and,
  axis,
  broadcast,
  constant,
  equal,
  input,
  iota,
  less,
  lessEqual,
  or,
  type Tensor,
} from '../../src/dsl/index.ts'
import { parts, possibility, type Ranges } from '../../src/dsl/passes/mask-parts.ts'

const test = suite('dsl: parts of masks')
const [token, key] = [axis('token', 4), axis('key', 5)]
const compares = { less, lessEqual, equal }

const values = (size: number): fc.Arbitrary<readonly number[]> =>
  fc.array(fc.integer({ min: 0, max: 5 }), { minLength: size, maxLength: size })
const comparison = fc.record({
  fn: fc.constantFrom('less', 'lessEqual', 'equal'),
  tokens: values(token.size),
  keys: values(key.size),
})
const range = (size: number): fc.Arbitrary<readonly [number, number]> =>
  fc
    .tuple(fc.nat({ max: size - 1 }), fc.nat({ max: size - 1 }))
    .map(([start, more]) => [start, Math.min(size - start, more + 1)])
const ranges: fc.Arbitrary<Ranges> = fc.record({ token: range(token.size), key: range(key.size) })

type Comparison = typeof comparison extends fc.Arbitrary<infer A> ? A : never
const maskOf = ({ fn, tokens, keys }: Comparison): Tensor =>
  compares[fn](
    broadcast(constant(Int32Array.from(tokens), [token]), [token, key]),
    broadcast(constant(Int32Array.from(keys), [key]), [token, key]),
  )
const numbers = (t: Tensor): readonly number[] => [...evaluate([t])[0]!]

/** What of a whole lies in a part, row by row. */
const within = (whole: readonly number[], at: Ranges): readonly number[] => {
  const [[row, rows], [column, columns]] = [at.token!, at.key!]
  return whole.filter((_, i) => {
    const [r, c] = [Math.floor(i / key.size), i % key.size]
    return r >= row && r < row + rows && c >= column && c < column + columns
  })
}

test('a part holds what the whole holds there', () => {
  fc.assert(
    fc.property(comparison, comparison, ranges, (a, b, at) => {
      const later = less(iota(key), broadcast(constant(Int32Array.from(a.tokens), [token]), [token, key]))
      const mask = and(or(maskOf(a), maskOf(b)), later)
      assert.equal(numbers(parts()(mask, at)), within(numbers(mask), at))
    }),
  )
})

test('of one comparison it is known whether a part can be true, and whether false', () => {
  fc.assert(
    fc.property(comparison, ranges, (a, at) => {
      const mask = maskOf(a)
      const there = within(numbers(mask), at)
      const is = there.some((x) => x !== 0)
      // that two ranges of numbers meet does not make two numbers equal
      if (a.fn === 'equal') assert.ok(possibility()(mask, at) || !is)
      else assert.is(possibility()(mask, at), is)
      assert.is(
        possibility()(mask, at, false),
        there.some((x) => x === 0),
      )
    }),
  )
})

test('what can be true is never said not to be; both, and one of two', () => {
  fc.assert(
    fc.property(comparison, comparison, ranges, (a, b, at) => {
      const [x, y] = [maskOf(a), maskOf(b)]
      const [mayX, mayY] = [possibility()(x, at), possibility()(y, at)]
      assert.is(possibility()(and(x, y), at), mayX && mayY)
      assert.is(possibility()(or(x, y), at), mayX || mayY)
      const [notX, notY] = [possibility()(x, at, false), possibility()(y, at, false)]
      assert.is(possibility()(and(x, y), at, false), notX || notY)
      assert.is(possibility()(or(x, y), at, false), notX && notY)
    }),
  )
  const given = less(input('x', [token], 'int32'), constant(Int32Array.of(0, 0, 0, 0), [token]))
  assert.ok(possibility()(given, {}))
  assert.ok(possibility()(given, {}, false))
})

test('of numbers that are none nothing is known', () => {
  const odd = less(constant(Float32Array.of(0, 0, Number.NaN, 0), [token]), 1)
  assert.ok(possibility()(odd, {}))
  assert.ok(possibility()(odd, {}, false))
})

test.run()
