import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { axis } from '../../src/dsl/axis.ts'
import { composite } from '../../src/dsl/composite.ts'
import { contractOf } from '../../src/dsl/contract.ts'
import { add, cast, equal, less, lessEqual, mul, neg, not, select, sub } from '../../src/dsl/elementwise.ts'
import { erf64 } from '../../src/dsl/erf.ts'
import { GraphError } from '../../src/dsl/error.ts'
import { evaluate } from '../../src/dsl/evaluate.ts'
import { node, type Tensor, topological } from '../../src/dsl/graph.ts'
import { gather, scatterAdd } from '../../src/dsl/indexing.ts'
import { zeros } from '../../src/dsl/init.ts'
import { constant, input, iota, scalar, state } from '../../src/dsl/leaves.ts'
import { argmax, logSoftmax, max, softmax, sum } from '../../src/dsl/reduce.ts'
import { broadcast, concat, pad, slice, splitAxis, transpose } from '../../src/dsl/shape.ts'
import { distance, graphs } from '../support/graphs.ts'

const A = axis('a', 2)
const B = axis('b', 3)
const site = { line: '' }
const x = input('x', [A, B])
const X = [1, 2, 3, 4, 5, 6]

const value = (t: Tensor, inputs: Record<string, number[]> = { x: X }): number[] => [
  ...evaluate([t], { inputs })[0]!,
]

const near = (got: readonly number[], want: readonly number[]): void =>
  assert.ok(distance(want, got) < 1e-14, `${got} where ${want} was expected`)

test('the error function agrees with the C library to 2e-15', () => {
  const known = [
    [0.1, 0.1124629160182849],
    [0.5, 0.5204998778130465],
    [1, 0.8427007929497149],
    [1.5, 0.9661051464753108],
    [2, 0.9953222650189527],
    [2.5, 0.999593047982555],
    [3, 0.9999779095030014],
    [4, 0.9999999845827421],
    [5.5, 0.9999999999999927],
  ] as const
  for (const [z, want] of known) {
    assert.ok(Math.abs(erf64(z) - want) < 2e-15, `erf ${z} = ${erf64(z)}`)
    assert.is(erf64(-z), -erf64(z))
  }
  assert.is(erf64(0), 0)
  assert.is(erf64(40), 1)
  assert.is(erf64(Number.NEGATIVE_INFINITY), -1)
  assert.ok(Number.isNaN(erf64(Number.NaN)))
  const slope = (erf64(1 + 1e-5) - erf64(1 - 1e-5)) / 2e-5
  assert.ok(Math.abs(slope - (2 / Math.sqrt(Math.PI)) * Math.exp(-1)) < 1e-9)
})

test('elementwise operands meet by axis name, whatever their order', () => {
  const y = input('y', [B, A])
  const inputs = { x: X, y: [10, 40, 20, 50, 30, 60], b: [100, 200, 300] }
  near(value(add(x, y), inputs), [11, 22, 33, 44, 55, 66])
  near(value(sub(x, input('b', [B])), inputs), [-99, -198, -297, -96, -195, -294])
  near(value(neg(x)), [-1, -2, -3, -4, -5, -6])
  near(value(select(less(x, 3), x, 0)), [1, 2, 0, 0, 0, 0])
  near(value(lessEqual(x, 2)), [1, 1, 0, 0, 0, 0])
  near(value(less(x, 2)), [1, 0, 0, 0, 0, 0])
  near(value(not(equal(x, 2))), [1, 0, 1, 1, 1, 1])
})

test('casts truncate, bools become 0 and 1, int32 wraps', () => {
  const y = input('y', [B])
  near(value(cast(y, 'int32'), { y: [-1.7, 1.7, 0.2] }), [-1, 1, 0])
  near(value(cast(y, 'bool'), { y: [-1.7, 0, 0.2] }), [1, 0, 1])
  near(value(cast(less(y, 0), 'float32'), { y: [-1.7, 0, 0.2] }), [1, 0, 0])
  near(value(add(scalar(2 ** 31 - 1, 'int32'), 1)), [-(2 ** 31)])
  near(value(mul(scalar(123456789, 'int32'), 987654321)), [Math.imul(123456789, 987654321)])
})

test('reductions, softmax and argmax go along the named axis', () => {
  near(value(sum(x, 'a')), [5, 7, 9])
  near(value(sum(x, 'a', 'b')), [21])
  near(value(max(x, 'b')), [3, 6])
  near(value(argmax(x, 'b'), { x: [7, 7, 1, 0, 2, 2] }), [0, 1])
  const e = X.map(Math.exp)
  near(
    value(softmax(x, 'a')),
    [0, 1, 2, 3, 4, 5].map((i) => e[i]! / (e[i % 3]! + e[(i % 3) + 3]!)),
  )
  near(
    value(logSoftmax(x, 'b'), { x: [1e4, 1e4, 1e4, 0, 0, 0] }),
    Array.from({ length: 6 }, () => -Math.log(3)),
  )
})

test('contract: batch axes, several summed axes, any order of the result', () => {
  const C = axis('c', 2)
  const y = input('y', [C, B, A])
  const inputs = { x: X, y: Array.from({ length: 12 }, (_, i) => i + 1) }
  const at = (a: number, b: number, c: number): number => inputs.y[c * 6 + b * 2 + a]!
  // Σ_b x[a,b] · y[c,b,a], a is a batch axis
  const batched = contractOf(x, y, ['b'], site, ['c', 'a'])
  near(
    value(batched, inputs),
    [0, 1].flatMap((c) => [0, 1].map((a) => [0, 1, 2].reduce((n, b) => n + X[a * 3 + b]! * at(a, b, c), 0))),
  )
  near(
    value(contractOf(x, y, ['a', 'b'], site), inputs),
    [0, 1].map((c) =>
      [0, 1].reduce((n, a) => n + [0, 1, 2].reduce((k, b) => k + X[a * 3 + b]! * at(a, b, c), 0), 0),
    ),
  )
  const outer = contractOf(input('p', [A]), input('q', [B]), [], site)
  near(value(outer, { p: [1, 2], q: [3, 4, 5] }), [3, 4, 5, 6, 8, 10])
})

test('shapes: transpose, split, broadcast, slice, pad, concat', () => {
  near(value(transpose(x, ['b', 'a'])), [1, 4, 2, 5, 3, 6])
  near(
    value(splitAxis(input('y', [axis('c', 4)]), 'c', [A, axis('d', 2)]), { y: [1, 2, 3, 4] }),
    [1, 2, 3, 4],
  )
  near(value(broadcast(input('y', [A]), [B, A]), { y: [1, 2] }), [1, 2, 1, 2, 1, 2])
  near(value(slice(x, 'b', 1, 2)), [2, 3, 5, 6])
  near(value(slice(x, 'a', 1, 1)), [4, 5, 6])
  near(value(pad(x, 'b', 1, 2)), [0, 1, 2, 3, 0, 0, 0, 4, 5, 6, 0, 0])
  near(value(concat([x, neg(x)], 'b')), [1, 2, 3, -1, -2, -3, 4, 5, 6, -4, -5, -6])
  near(value(iota(B)), [0, 1, 2])
})

test('gather takes rows of the first axis, scatterAdd adds them up again', () => {
  const index = input('i', [axis('n', 3)], 'int32')
  near(value(gather(x, index), { x: X, i: [1, 1, 0] }), [4, 5, 6, 4, 5, 6, 1, 2, 3])
  const rows = input('r', [axis('n', 3), B])
  near(
    value(scatterAdd(index, rows, A), { r: [1, 2, 3, 4, 5, 6, 7, 8, 9], i: [1, 1, 0] }),
    [7, 8, 9, 5, 7, 9],
  )
})

test('a composite is its body, and only the body is computed', () => {
  const unfed = input('never fed', [A])
  near(value(composite('silu', {}, mul(x, 2), [unfed])), [2, 4, 6, 8, 10, 12])
})

test('states are fed by key, maps do as well as records', () => {
  const w = state('w.weight', [B], zeros)
  near([...evaluate([mul(w, 2)], { states: new Map([['w.weight', [1, 2, 3]]]) })[0]!], [2, 4, 6])
})

test('what is missing, too long or out of range is an error that names it', () => {
  const failure = (f: () => unknown): GraphError => {
    try {
      f()
    } catch (e) {
      if (e instanceof GraphError) return e
      throw e
    }
    throw new Error('no error')
  }
  const missing = failure(() => evaluate([neg(x)], { inputs: {} }))
  assert.is(missing.tag, 'BadArgument')
  assert.match(missing.message, "input 'x' (a 2 × b 3) has no value")
  assert.match(missing.where, 'evaluate.test.ts')
  const inherited = failure(() => evaluate([input('toString', [A])], { inputs: {} }))
  assert.is(inherited.tag, 'BadArgument')
  const short = failure(() => evaluate([x], { inputs: { x: [1, 2] } }))
  assert.is(short.tag, 'BadShape')
  assert.match(short.message, 'was fed 2 numbers, a 2 × b 3 needs 6')
  const out = failure(() =>
    evaluate([gather(x, constant(Int32Array.of(2), [axis('n', 1)]))], { inputs: { x: X } }),
  )
  assert.match(out.message, 'gather: index 2 is out of range; there are 2 rows')
  const below = failure(() =>
    evaluate([
      scatterAdd(
        constant(Int32Array.of(-1), [axis('n', 1)]),
        constant(Float32Array.of(1), [axis('n', 1)]),
        A,
      ),
    ]),
  )
  assert.match(below.message, 'scatterAdd: index -1 is out of range')
})

test('a feed is copied: what comes out can be written to', () => {
  const X2 = Float64Array.from(X)
  evaluate([x], { inputs: { x: X2 } })[0]!.fill(0)
  assert.equal([...X2], X)
})

test('every random graph evaluates to the number of elements that its axes say', () => {
  const seen = new Set<string>()
  fc.assert(
    fc.property(graphs(), ({ roots, feeds }) => {
      const out = evaluate(roots, feeds)
      roots.forEach((r, i) => {
        assert.is(
          out[i]!.length,
          r.axes.reduce((n, a) => n * a.size, 1),
        )
        assert.is(new Set(r.names).size, r.names.length)
      })
      for (const t of topological(roots)) seen.add(t.op.op)
    }),
    { numRuns: 300, seed: 7 },
  )
  // the generator reaches every primitive
  assert.is(seen.size, 25, [...seen].join(' '))
})

test('a float node inside is not rounded to 32 bits', () => {
  const third = node({ op: 'binary', fn: 'div' }, [scalar(1), scalar(3)], [], 'float32', site)
  assert.is(evaluate([third])[0]![0], 1 / 3)
})

test.run()
