/** Sums that are added up, as one for each shape. */
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  add,
  axis,
  evaluate,
  input,
  mul,
  square,
  sub,
  sum,
  type Tensor,
  topological,
  total,
} from '../../../src/dsl/index.ts'
import { joinedSums } from '../../../src/engine/xla/joined-sums.ts'
import { lower } from '../../../src/engine/xla/lower.ts'
import { globalNorm } from '../../../src/optim/index.ts'
import { distance, graphs, numbers, random } from '../../support/graphs.ts'

const [Row, Column, Large] = [axis('row', 3), axis('column', 5), axis('large', 2 ** 18 + 1)]
const [a, b, c] = [input('a', [Row, Column]), input('b', [Row, Column]), input('c', [Row, Column])]
const [v, w] = [input('v', [Column]), input('w', [Column])]
const turned = input('turned', [Column, Row])
const large = [input('large', [Large]), input('other', [Large])] as const
const feeds = {
  inputs: Object.fromEntries(
    [a, b, c, v, w, turned, ...large].map((t, i) => {
      const { op } = t
      const length = t.axes.reduce((n, { size }) => n * size, 1)
      return [op.op === 'input' ? op.name : '', numbers(length, random(i + 1))]
    }),
  ),
}

const sums = (roots: readonly Tensor[]): number =>
  topological(roots).filter((t) => t.op.op === 'reduce' && t.axes.length === 0).length

/** How many sums there are after the pass, which is checked to keep the numbers. */
const joined = (...roots: readonly Tensor[]): number => {
  const out = joinedSums(roots)
  const [before, after] = [evaluate(roots, feeds), evaluate(out, feeds)]
  out.forEach((t, i) => {
    assert.equal([t.axes, t.dtype], [roots[i]!.axes, roots[i]!.dtype])
    assert.ok(distance(before[i]!, after[i]!) <= 1e-12)
  })
  return sums(out)
}

test('the norm of gradients has one sum for each shape', () => {
  const norm = globalNorm([a, v, b, turned, w, c])
  assert.is(sums([norm]), 6)
  assert.is(joined(norm), 3)
  const { text } = lower('f', {
    ...{ inputs: new Map([a, v, b, w].map((t) => [t.op.op === 'input' ? t.op.name : '', t])) },
    ...{ states: new Map(), outputs: { norm: globalNorm([a, v, b, w]) }, next: new Map() },
  })
  assert.is(text.match(/stablehlo\.reduce/g)!.length, 2)
})

test('however the additions are put together', () => {
  const [x, y, z, u] = [total(square(a)), total(square(b)), total(square(c)), total(square(v))]
  assert.is(joined(add(add(x, u), add(y, z))), 2)
  assert.is(joined(add(x, add(u, add(y, z)))), 2)
  // not under what adds nothing up
  assert.is(joined(mul(add(x, y), add(z, u))), 3)
  assert.is(joined(sub(add(x, y), z)), 2)
})

test('what somebody else uses too, is long, or a sum of some axes stays', () => {
  const [x, y, u] = [total(square(a)), total(square(b)), total(square(v))]
  const same = (...roots: readonly Tensor[]): void => {
    joinedSums(roots).forEach((t, i) => {
      assert.is(t, roots[i])
    })
  }
  same(add(x, y), x)
  const mixed = add(x, u)
  same(add(mixed, y), mul(mixed, 2))
  const both = add(x, y)
  assert.is(joined(add(both, total(v)), mul(both, 2)), 2, 'one for those two, one for the other')
  assert.is(joined(add(total(large[0]), total(large[1]))), 2)
  assert.is(joined(add(total(sum(a, 'row')), total(sum(b, 'row')))), 1)
  const rows = add(sum(a, 'row'), sum(b, 'row'))
  same(rows)
  same(add(total(input('i', [Row], 'int32')), total(input('j', [Row], 'int32'))))
})

test('the norm of thousands, as experts have them, is joined too', () => {
  const many = Array.from({ length: 5000 }, (_, i) => (i % 2 === 0 ? a : v))
  assert.is(joined(globalNorm(many)), 2)
})

test('any graph keeps its numbers', () => {
  let fewer = 0
  fc.assert(
    fc.property(graphs(40), ({ roots, feeds: fed }) => {
      const wanted = roots.filter((t) => t.dtype === 'float32')
      const all = [
        ...wanted,
        wanted.map((t) => total(square(t))).reduce<Tensor>((s, t) => add(s, t), total(a)),
      ]
      const given = { ...fed, inputs: { ...fed.inputs, ...feeds.inputs } }
      const out = joinedSums(all)
      const [before, after] = [evaluate(all, given), evaluate(out, given)]
      before.forEach((x, i) => {
        assert.ok(distance(x, after[i]!) <= 1e-9)
      })
      if (sums(out) < sums(all)) fewer++
    }),
    { numRuns: 120, seed: 5 },
  )
  assert.ok(fewer > 20, `${fewer} graphs had sums to join`)
})

test.run()
