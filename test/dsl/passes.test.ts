import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Axis, axis, sizes } from '../../src/dsl/axis.ts'
import { composite } from '../../src/dsl/composite.ts'
import { contractOf } from '../../src/dsl/contract.ts'
import { contractionPlan } from '../../src/dsl/contraction.ts'
import {
  add,
  cast,
  div,
  lessEqual,
  maximum,
  mul,
  neg,
  not,
  pow,
  select,
  sigmoid,
  stopGradient,
  sub,
  tanh,
} from '../../src/dsl/elementwise.ts'
import { evaluate } from '../../src/dsl/evaluate.ts'
import { node, type OpName, type Tensor, topological } from '../../src/dsl/graph.ts'
import { zeros } from '../../src/dsl/init.ts'
import { constant, input, iota, scalar, state } from '../../src/dsl/leaves.ts'
import {
  clampProgram,
  commonSubexpressions,
  dropStopGradients,
  foldConstants,
  foldTransposes,
  mergeProjections,
  narrow,
  optimise,
  optimiseProgram,
} from '../../src/dsl/passes/index.ts'
import { buckets, fixed, program, type Variant } from '../../src/dsl/program.ts'
import { max, softmax, sum } from '../../src/dsl/reduce.ts'
import { broadcast, concat, pad, rename, reshape, slice, transpose } from '../../src/dsl/shape.ts'
import { distance, graphs, numbers, random } from '../support/graphs.ts'

const A = axis('a', 2)
const B = axis('b', 3)
const C = axis('c', 4)
const site = { line: '' }
const x = input('x', [A, B])
const y = input('y', [B, C])

const count = (roots: readonly Tensor[], op?: OpName): number =>
  topological(roots).filter((t) => op === undefined || t.op.op === op).length

const feeds = { inputs: { x: numbers(6, random(1)), y: numbers(12, random(2)) } }

/** The pass over one root, checked to keep its numbers, axes and dtype. */
const after = (pass: (roots: readonly Tensor[]) => Tensor[], t: Tensor, tolerance = 1e-12): Tensor => {
  const [u] = pass([t])
  assert.equal(u!.axes, t.axes)
  assert.equal(u!.names, t.names)
  assert.is(u!.dtype, t.dtype)
  assert.ok(distance(evaluate([t], feeds)[0]!, evaluate([u!], feeds)[0]!) <= tolerance)
  return u!
}

/** Products with one tensor's states as one. */
const joined = mergeProjections((t) => t.op.op === 'state')

const laws: readonly (readonly [string, (roots: readonly Tensor[]) => Tensor[], number])[] = [
  ['commonSubexpressions', commonSubexpressions, 0],
  ['narrow', narrow, 1e-12],
  ['foldTransposes', foldTransposes, 1e-12],
  ['foldConstants', foldConstants, 2e-6],
  ['mergeProjections', joined, 1e-12],
  ['dropStopGradients', dropStopGradients, 0],
  ['optimise', optimise, 2e-6],
]

for (const [name, pass, tolerance] of laws)
  test(`${name} keeps numbers, axes and dtypes of random graphs, and does not grow them`, () => {
    fc.assert(
      fc.property(graphs(40), ({ roots, feeds }) => {
        const out = pass(roots)
        const before = evaluate(roots, feeds)
        const now = evaluate(out, feeds)
        roots.forEach((r, i) => {
          assert.equal(out[i]!.axes, r.axes)
          assert.is(out[i]!.dtype, r.dtype)
          const d = distance(before[i]!, now[i]!)
          assert.ok(d <= tolerance, `root ${i} (${r.op.op}) moved by ${d}`)
        })
        for (const t of topological(out))
          if (['binary', 'compare', 'logic', 'select', 'broadcast'].includes(t.op.op))
            for (const u of t.inputs) {
              const names = t.names.filter((n) => u.names.includes(n))
              assert.equal(names, u.names, `${t.op.op}: operands are subsequences of the node's axes`)
            }
        const mayGrow = ['narrow', 'mergeProjections', 'optimise'].includes(name)
        assert.ok(mayGrow || count(out) <= count(roots))
      }),
      { numRuns: 120, seed: 11 },
    )
  })

test('a pass with nothing to do returns the same nodes', () => {
  const t = softmax(tanh(add(x, 1)), 'b')
  for (const [, pass] of laws) assert.is(pass([t])[0], t)
})

test('common subexpressions: equal leaves, literals and operations become one', () => {
  const once = (): Tensor =>
    mul(add(input('x', [A, B]), constant(Float32Array.of(1, 2, 3), [B])), state('w', [B], zeros))
  const t = commonSubexpressions([sub(once(), once())])[0]!
  assert.is(count([t]), 6)
  assert.is(t.inputs[0], t.inputs[1])
  // swapped operands of a commuting operation
  assert.is(count([after(commonSubexpressions, sub(add(x, mul(x, 2)), add(mul(x, 2), x)))]), 5)
})

test('common subexpressions: what differs in attributes, axes, dtype or literal stays apart', () => {
  const apart = (a: Tensor, b: Tensor): void => {
    const [p, q] = commonSubexpressions([a, b])
    assert.is.not(p, q)
  }
  apart(sum(x, 'a'), max(x, 'a'))
  apart(slice(x, 'b', 0, 1), slice(x, 'b', 1, 1))
  apart(softmax(x, 'a'), softmax(x, 'b'))
  apart(sub(x, neg(x)), sub(neg(x), x))
  apart(state('w', [A], zeros), state('w', [axis('other', 2)], zeros))
  apart(state('w', [A], zeros), input('w', [A]))
  apart(scalar(0), scalar(-0))
  apart(scalar(0), scalar(0, 'int32'))
  apart(reshape(x, [axis('n', 6)]), reshape(x, [axis('m', 6)]))
  apart(composite('rmsNorm', { epsilon: 1e-5 }, x, [x]), composite('rmsNorm', { epsilon: 1e-6 }, x, [x]))
  apart(pad(x, 'b', 1, 2), pad(x, 'b', 2, 1))
})

test('common subexpressions: settings in another order are the same', () => {
  const [p, q] = commonSubexpressions([
    composite('rmsNorm', { axis: 'b', epsilon: 1e-5 }, x, [x]),
    composite('rmsNorm', { epsilon: 1e-5, axis: 'b' }, x, [x]),
  ])
  assert.is(p, q)
})

test('constants: neutral operands disappear', () => {
  const gone: readonly Tensor[] = [
    add(x, 0),
    add(0, x),
    sub(x, 0),
    mul(x, 1),
    mul(1, x),
    div(x, 1),
    pow(x, 1),
    add(x, constant(new Float32Array(3), [B])),
    neg(neg(x)),
    node({ op: 'cast' }, [x], x.axes, 'float32', site),
    transpose(transpose(x, ['b', 'a']), ['a', 'b']),
    reshape(reshape(x, [axis('n', 6)]), [A, B]),
    node({ op: 'broadcast' }, [x], x.axes, 'float32', site),
    node({ op: 'slice', along: 'b', start: 0 }, [x], x.axes, 'float32', site),
    node({ op: 'pad', along: 'b', before: 0, after: 0 }, [x], x.axes, 'float32', site),
    concat([x], 'b'),
    slice(concat([neg(x), x], 'b'), 'b', 3, 3),
    select(lessEqual(scalar(1), 2), x, neg(x)),
    select(lessEqual(scalar(3), 2), neg(x), x),
  ]
  for (const t of gone) assert.is(after(foldConstants, t), x, t.op.op)
  const yes = constant(Uint8Array.of(1, 1), [A])
  const b = lessEqual(x, 0)
  assert.is(foldConstants([not(not(b))])[0], b)
  assert.is(foldConstants([node({ op: 'logic', fn: 'and' }, [b, yes], b.axes, 'bool', site)])[0], b)
})

test('constants: x + 0 with a wider zero becomes a broadcast, not x', () => {
  const t = after(foldConstants, add(x, constant(new Float32Array(24), [A, B, C])))
  assert.is(t.op.op, 'broadcast')
  assert.is(t.inputs[0], x)
})

test('constants: 0 − x and −1 · x are −x, x² is x · x', () => {
  for (const t of [sub(0, x), mul(x, -1), mul(-1, x)])
    assert.equal(after(foldConstants, t).op, { op: 'unary', fn: 'neg' })
  assert.equal(after(foldConstants, pow(x, 2)).inputs, [x, x])
})

test('constants: what depends on literals alone becomes one literal', () => {
  const t = mul(x, tanh(add(constant(Float32Array.of(1, 2, 3), [B]), scalar(1))))
  const u = after(foldConstants, t, 1e-7)
  assert.equal(u.inputs[1]!.op, {
    op: 'constant',
    data: Float32Array.of(Math.tanh(2), Math.tanh(3), Math.tanh(4)),
  })
  const causal = lessEqual(iota(axis('key', 8)), iota(axis('token', 8)))
  assert.is(foldConstants([causal])[0]!.op.op, 'constant')
  const long = lessEqual(iota(axis('key', 512)), iota(axis('token', 512)))
  assert.is(foldConstants([long])[0], long, 'a large result stays an operation')
  assert.is(foldConstants([composite('silu', {}, scalar(2), [x])])[0]!.op.op, 'constant')
})

test('constants: chains shorten', () => {
  const wide = broadcast(broadcast(x, [A, B, C]), [axis('z', 2), A, B, C])
  assert.is(count([after(foldConstants, wide)]), 2)
  assert.is(count([after(foldConstants, sum(sum(x, 'a'), 'b'))]), 2)
  assert.is(count([after(foldConstants, slice(slice(x, 'b', 1, 2), 'b', 1, 1))]), 2)
  const part = after(foldConstants, slice(concat([neg(x), x], 'b'), 'b', 4, 2))
  assert.equal(part.op, { op: 'slice', along: 'b', start: 1 })
  assert.is(part.inputs[0], x)
  const one = reshape(x, [axis('one', 1), A, B])
  assert.is(after(foldConstants, sum(one, 'one')), x)
  assert.is(count([after(foldConstants, transpose(one, ['a', 'b', 'one']))], 'transpose'), 0)
})

test('transposes: those before a contraction disappear', () => {
  const t = contractOf(transpose(x, ['b', 'a']), transpose(y, ['c', 'b']), ['b'], site)
  const u = after(foldTransposes, t)
  assert.is(count([u], 'transpose'), 0)
  assert.equal(u.inputs, [x, y])
})

test('transposes: also through a rename', () => {
  const t = contractOf(rename(transpose(x, ['b', 'a']), 'b', 'k'), rename(y, 'b', 'k'), ['k'], site)
  assert.is(count([after(foldTransposes, t)], 'transpose'), 0)
  const z = contractOf(x, y, ['b'], site)
  const v = mul(transpose(rename(z, 'c', 'k'), ['k', 'a']), 2)
  assert.is(count([after(foldTransposes, v)], 'transpose'), 0)
})

test('transposes: one after a contraction is the contraction in another order, where nobody else reads it', () => {
  const z = contractOf(x, y, ['b'], site)
  const t = tanh(transpose(z, ['c', 'a']))
  const u = after(foldTransposes, t)
  assert.is(u.inputs[0]!.op.op, 'contract')
  assert.is(contractionPlan(u.inputs[0]!).perm, undefined)
  const both = foldTransposes([t, z])
  assert.is(count(both, 'contract'), 1)
  assert.is(both[1], z)
})

test('transposes: one that several products share is not done several times', () => {
  const [Q, K, D, H] = [axis('q', 2), axis('k', 3), axis('d', 4), axis('h', 2)]
  const q = input('q', [H, Q, D])
  const k = transpose(input('k', [K, D, H]), ['h', 'k', 'd'])
  const one = contractOf(q, k, ['d'], site)
  const two = contractOf(neg(q), k, ['d'], site)
  assert.is(count(foldTransposes([one]), 'transpose'), 0)
  assert.is(count(foldTransposes([one, two]), 'transpose'), 1)
})

test('projections of one tensor become one product', () => {
  const weights = ['q', 'k', 'v'].map((n, i) => state(n, [axis(`${n} out`, i + 2), B], zeros))
  const turned = state('t', [B, axis('t out', 2)], zeros)
  const products = [...weights, turned].map((w) => contractOf(x, w, ['b'], site))
  const roots = products.map((p) => tanh(p))
  const merged = joined(roots)
  assert.is(count(merged, 'contract'), 1)
  assert.is(count(merged, 'slice'), 4)
  const [product] = topological(merged).filter((t) => t.op.op === 'contract')
  assert.equal(sizes(product!.axes), [2, 2 + 3 + 4 + 2])
  const states = Object.fromEntries(
    [...weights, turned].map((w, i) => [
      (w.op as { key: string }).key,
      numbers(
        w.axes.reduce((n, a) => n * a.size, 1),
        random(i),
      ),
    ]),
  )
  const all = { inputs: feeds.inputs, states }
  const want = evaluate(roots, all)
  evaluate(merged, all).forEach((v, i) => {
    assert.ok(distance(want[i]!, v) < 1e-12)
  })
  assert.equal(
    merged.map((t) => t.axes),
    roots.map((t) => t.axes),
  )
  assert.is(mergeProjections(() => false)(roots)[0], roots[0], 'what is no weight is left alone')
})

test('projections over several axes, into several axes, in any order', () => {
  const [H, D] = [axis('h', 2), axis('d', 2)]
  const z = input('z', [C, A, B])
  const w1 = state('w1', [B, H, C, D], zeros)
  const w2 = state('w2', [axis('o', 5), C, B], zeros)
  const roots = [
    contractOf(z, w1, ['c', 'b'], site, ['h', 'a', 'd']),
    contractOf(w2, z, ['b', 'c'], site, ['o', 'a']),
  ]
  const merged = joined(roots)
  assert.is(count(merged, 'contract'), 1)
  const all = {
    inputs: { z: numbers(24, random(3)) },
    states: { w1: numbers(48, random(4)), w2: numbers(60, random(5)) },
  }
  const want = evaluate(roots, all)
  evaluate(merged, all).forEach((v, i) => {
    assert.ok(distance(want[i]!, v) < 1e-12)
  })
})

test('projections of different tensors, or with a batched weight, stay', () => {
  const w = state('w', [axis('o', 2), B], zeros)
  const u = state('u', [axis('p', 2), B], zeros)
  const batched = state('u', [A, axis('p', 2), B], zeros)
  const roots = [
    contractOf(x, w, ['b'], site),
    contractOf(neg(x), u, ['b'], site),
    contractOf(x, batched, ['b'], site),
  ]
  assert.equal(joined(roots), roots)
})

test('optimise: the query, key and value paths of an attention lose their transposes', () => {
  const [T, H, D, E] = [axis('token', 3), axis('head', 2), axis('dim', 2), axis('embed', 4)]
  const z = input('z', [axis('batch', 2), T, E])
  const heads = (n: string, a: Axis): Tensor =>
    transpose(
      reshape(contractOf(z, state(n, [axis(n, 4), E], zeros), ['embed'], site), [axis('batch', 2), a, H, D]),
      ['batch', 'head', a.name, 'dim'],
    )
  const q = heads('q', T)
  const k = heads('k', axis('key', 3))
  const v = heads('v', axis('key', 3))
  const out = contractOf(softmax(contractOf(q, k, ['dim'], site), 'key'), v, ['key'], site)
  const t = transpose(out, ['batch', 'token', 'head', 'dim'])
  assert.is(count([t], 'transpose'), 4)
  assert.is(count(optimise([t]), 'transpose'), 0)
})

test('optimiseProgram keeps names and drops what no longer matters', () => {
  const w = state('w', [B], zeros)
  const unused = state('unused', [B], zeros)
  const p = program({
    name: 'p',
    functions: {
      step: fixed(() => ({
        outputs: {
          loss: stopGradient(sum(mul(add(x, 0), w), 'a', 'b')),
          same: select(lessEqual(scalar(1), 2), w, unused),
        },
        next: new Map<string, Tensor>([
          ['w', sub(w, mul(w, 0.5))],
          ['unused', mul(unused, 1)],
        ]),
      })),
    },
  })
  const q = optimiseProgram(p)
  const [v] = q.functions.get('step')!
  assert.equal(Object.keys(v!.outputs), ['loss', 'same'])
  assert.equal([...v!.next.keys()], ['w'])
  assert.equal([...v!.states.keys()], ['w'])
  assert.equal([...v!.inputs.keys()], ['x'])
  assert.equal([...q.states.keys()].sort(), ['unused', 'w'])
  assert.is(v!.outputs.loss!.op.op, 'reduce')
  const all = { inputs: feeds.inputs, states: { w: [1, 2, 3], unused: [4, 5, 6] } }
  const roots = (u: typeof v): Tensor[] => [...Object.values(u!.outputs), u!.next.get('w')!]
  assert.equal(evaluate(roots(v), all), evaluate(roots(p.functions.get('step')![0]), all))
})

test('of many buckets only what is read is optimised, once', () => {
  const p = program({
    name: 'buckets',
    functions: { f: buckets([2, 3], (n) => ({ outputs: { y: add(input('x', [axis('a', n)]), 0) } })) },
  })
  let looks = 0
  const [first, second] = p.functions.get('f')!
  const watched: Variant = {
    ...second!,
    get outputs() {
      looks++
      return second!.outputs
    },
  }
  const q = clampProgram(optimiseProgram({ ...p, functions: new Map([['f', [first!, watched]]]) }))
  const [one, other] = q.functions.get('f')!
  assert.is(one!.outputs.y!.op.op, 'input')
  assert.equal([...other!.inputs.keys()], ['x'])
  assert.is(looks, 0)
  assert.is(other!.outputs.y!.op.op, 'input')
  const seen = looks
  assert.ok(seen > 0 && other!.next.size === 0 && other!.states.size === 0)
  assert.is(looks, seen)
})

test('a graph of 10,000 nodes is optimised in less than 300 ms', () => {
  let t: Tensor = input('x', [axis('token', 16), axis('embed', 8)])
  for (let i = 0; topological([t]).length < 10_000; i += 100) {
    for (let k = 0; k < 100; k++) {
      const w = state(`w${i + k}`, [axis('o', 8), axis('embed', 8)], zeros)
      const h = transpose(contractOf(t, w, ['embed'], site), ['o', 'token'])
      const g = rename(transpose(h, ['token', 'o']), 'o', 'embed')
      t = add(t, mul(maximum(g, 0), composite('silu', {}, mul(g, sigmoid(g)), [g])))
    }
  }
  // processor time and not the clock, since tests share the machine; the best of three, past the compiler's warm-up
  const once = (): number => {
    const start = process.cpuUsage()
    assert.is(count(optimise([t]), 'transpose'), 0)
    const { user, system } = process.cpuUsage(start)
    return (user + system) / 1000
  }
  const took = Math.min(once(), once(), once())
  assert.ok(took < 300, `it took ${took.toFixed(0)} ms`)
})

test('casts of literals fold to their dtype', () => {
  const t = cast(constant(Uint8Array.of(1, 0, 1), [B]), 'float32')
  assert.equal(foldConstants([t])[0]!.op, { op: 'constant', data: Float32Array.of(1, 0, 1) })
})

test.run()
