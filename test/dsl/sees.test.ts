import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  add,
  axis,
  equal,
  evaluate,
  input,
  iota,
  less,
  lessEqual,
  maximum,
  mul,
  reshape,
  type Tensor,
  transpose,
} from '../../src/dsl/index.ts'
import { allSee } from '../../src/dsl/layers/sees.ts'

const [Row, Slots] = [axis('batch', 3), axis('key', 4)]
const place: Tensor = input('place', [Row], 'int32')

test('slots up to a place that is never below 0 have one that is seen, whatever is fed', () => {
  const shown = transpose(lessEqual(iota(Slots), maximum(place, 0)), ['batch', 'key'])
  assert.ok(allSee(shown, 'key'))
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -9, max: 9 }), { minLength: 3, maxLength: 3 }), (at) => {
      const [mask] = evaluate([shown], { inputs: { place: at } })
      for (let r = 0; r < 3; r++) assert.ok(mask!.slice(4 * r, 4 * r + 4).some((x) => x === 1))
    }),
  )
})

test('where it may be below 0, or the first slot is left out, none is promised', () => {
  for (const mask of [
    lessEqual(iota(Slots), place),
    lessEqual(iota(Slots), maximum(place, -1)),
    less(iota(Slots), maximum(place, 0)),
    lessEqual(maximum(place, 0), iota(Slots)),
    lessEqual(add(iota(Slots), 1), maximum(place, 0)),
    lessEqual(iota(Slots), mul(maximum(place, 0), -1)),
  ])
    assert.not(allSee(mask as Tensor, 'key'))
  // another axis than that of the keys
  assert.not(allSee(lessEqual(iota(Slots), maximum(place, 0)) as Tensor, 'token'))
})

test('fractions may be NaN, which does not see itself', () => {
  const Token = axis('token', 4)
  for (const dtype of ['int32', 'float32'] as const) {
    const segment: Tensor = input('segment', [Token], dtype)
    const mask = equal(segment, reshape(segment, [Slots])) as Tensor
    const [seen] = evaluate([mask], { inputs: { segment: [1, 1, dtype === 'int32' ? 2 : Number.NaN, 2] } })
    assert.is(allSee(mask, 'key'), dtype === 'int32', dtype)
    assert.is(
      seen!.slice(8, 12).some((x) => x === 1),
      dtype === 'int32',
      dtype,
    )
  }
})

test.run()
