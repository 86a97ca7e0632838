import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { axis } from '../../src/dsl/axis.ts'
import { contractOf } from '../../src/dsl/contract.ts'
import { add, tanh } from '../../src/dsl/elementwise.ts'
import { evaluate } from '../../src/dsl/evaluate.ts'
import { node, type OpName, type Tensor, topological } from '../../src/dsl/graph.ts'
import { gather } from '../../src/dsl/indexing.ts'
import { constant, input, iota, scalar } from '../../src/dsl/leaves.ts'
import { narrow } from '../../src/dsl/passes/index.ts'
import { argmax, max, mean, softmax, sum } from '../../src/dsl/reduce.ts'
import { broadcast, reshape, slice, transpose } from '../../src/dsl/shape.ts'
import { distance, graphs, numbers, random } from '../support/graphs.ts'

const A = axis('a', 2)
const B = axis('b', 3)
const C = axis('c', 4)
const site = { line: '' }
const x = input('x', [A, B])
const y = input('y', [B, C])
const feeds = { inputs: { x: numbers(6, random(1)), y: numbers(12, random(2)) } }

const count = (roots: readonly Tensor[], op: OpName): number =>
  topological(roots).filter((t) => t.op.op === op).length

/** The pass over one root, checked to keep its numbers, axes and dtype. */
const narrowed = (t: Tensor): Tensor => {
  const [u] = narrow([t])
  assert.equal(u!.axes, t.axes)
  assert.is(u!.dtype, t.dtype)
  assert.ok(distance(evaluate([t], feeds)[0]!, evaluate([u!], feeds)[0]!) <= 1e-12)
  return u!
}

test('operands of an elementwise operation have all its axes, and a second time changes nothing', () => {
  let fewer = 0
  fc.assert(
    fc.property(graphs(40), ({ roots }) => {
      const out = narrow(roots)
      const spans = (t: Tensor): boolean => t.names.every((n) => t.inputs.some((u) => u.names.includes(n)))
      for (const t of topological(out))
        if (['binary', 'compare', 'logic', 'select'].includes(t.op.op)) assert.ok(spans(t), t.op.op)
      if (!topological(roots).every((t) => t.inputs.length < 2 || spans(t))) fewer++
      narrow(out).forEach((t, i) => {
        assert.is(t, out[i])
      })
    }),
    { numRuns: 120, seed: 11 },
  )
  assert.ok(fewer > 20, `${fewer} graphs had a node wider than its operands`)
})

test('what repeats is computed once and repeated last', () => {
  const wide = broadcast(x, [A, B, C])
  // elementwise operations repeat by themselves
  assert.is(count([narrowed(add(wide, y))], 'broadcast'), 0)
  const twice = narrowed(add(wide, tanh(wide)))
  assert.is(twice.op.op, 'broadcast')
  assert.equal(twice.inputs[0]!.axes, [A, B])
  // an axis that no operand has stays an axis
  const bare = node({ op: 'binary', fn: 'add' }, [x, x], [A, B, C], 'float32', site)
  assert.equal(narrowed(bare).op, { op: 'broadcast' })
  assert.is(narrowed(max(wide, 'c')), x)
  assert.is(narrowed(slice(transpose(wide, ['c', 'a', 'b']), 'c', 1, 2)).inputs[0], x)
  assert.equal(narrowed(argmax(wide, 'c')).inputs[0]!.op, { op: 'constant', data: Int32Array.of(0) })
  assert.equal(narrowed(argmax(wide, 'b')).inputs[0]!.axes, [A])
  assert.equal(narrowed(softmax(wide, 'b')).inputs[0]!.axes, [A, B])
  assert.equal(
    narrowed(gather(wide, iota(axis('k', 2)))).inputs[0]!.axes.map((a) => a.name),
    ['k', 'b'],
  )
  // a reshape of other axes does not need the repetition, one across it does
  const apart = reshape(wide, [axis('ab', 6), axis('d', 4)])
  assert.equal(narrowed(apart).inputs[0]!.names, ['ab'])
  const across = reshape(wide, [A, axis('bc', 12)])
  assert.is(narrowed(across), across)
  // a product does not repeat its operands along axes that it only carries
  const w = constant(Float32Array.from(numbers(6, random(3))), [axis('o', 2), B])
  assert.equal(narrowed(contractOf(wide, w, ['b'], site)).inputs[0]!.names, ['a', 'o'])
})

test('sums over what only repeats are products, of whole numbers too', () => {
  const wide = broadcast(x, [A, B, C])
  for (const t of [
    sum(wide, 'c'),
    sum(wide, 'a', 'c'),
    sum(add(wide, wide), 'c'),
    mean(mean(wide, 'c'), 'b'),
  ])
    assert.is(count([narrowed(t)], 'broadcast'), 0)
  assert.equal(narrowed(sum(wide, 'c')).op, { op: 'binary', fn: 'mul' })
  assert.is(narrowed(sum(broadcast(iota(B), [B, C]), 'c')).dtype, 'int32')
  const half = broadcast(scalar(1 << 30, 'int32'), [C])
  assert.equal(Array.from(evaluate(narrow([sum(half, 'c')]))[0]!), [0], 'they wrap')
})

test.run()
