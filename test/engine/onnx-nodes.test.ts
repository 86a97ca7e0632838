/** How many nodes the onnx engine writes: what nothing reads costs time in every call. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  type Axis,
  and,
  argmax,
  attend,
  axis,
  broadcast,
  causal,
  constant,
  contract,
  elements,
  equal,
  evaluate,
  gather,
  input,
  iota,
  less,
  lessEqual,
  mul,
  type Results,
  reshape,
  rmsNorm,
  rotate,
  rotations,
  select,
  sub,
  sum,
  type Tensor,
  transpose,
} from '../../src/dsl/index.ts'
import { optimiseProgram } from '../../src/dsl/passes/index.ts'
import { fixed, program } from '../../src/dsl/program.ts'
import { onnxEngine } from '../../src/engine/onnx/index.ts'
import { lower } from '../../src/engine/onnx/lower.ts'
import type { Engine } from '../../src/engine/session.ts'
import { extend } from '../../src/models/generate.ts'
import { onEngine } from '../support/on-engine.ts'
import { tinyModel } from '../support/tiny.ts'

const test = suite('onnx: nodes')

test('generation: no node that nothing reads, and products without reshapes around them', () => {
  const sizes = { rows: 3, prompt: 6, capacity: 9 }
  const functions = { extend: fixed(() => extend(tinyModel, sizes, 2)) }
  const [variant] = optimiseProgram(program({ name: 'nodes', functions })).functions.get('extend')!
  const { graph } = lower('extend', variant!).model
  const read = new Set([...graph.node.flatMap((n) => n.input), ...graph.output.map((o) => o.name)])
  const unread = graph.node.filter((n) => !n.output.some((name) => read.has(name)))
  assert.equal(
    unread.map((n) => n.name),
    [],
  )
  const makers = new Map(graph.node.flatMap((n) => n.output.map((o) => [o, n] as const)))
  const gate = graph.node.find((n) => n.input[1]?.endsWith('mlp.gate_proj.weight'))!
  assert.is(makers.get(gate.input[0]!)!.opType, 'SimplifiedLayerNormalization')
  assert.is(graph.node.find((n) => n.input.includes(gate.output[0]!))!.opType, 'QuickGelu')
})

const operationsOf = (build: () => Results): readonly string[] => {
  const p = optimiseProgram(program({ name: 'nodes', functions: { f: fixed(build) } }))
  return lower('f', p.functions.get('f')![0]!).model.graph.node.map((n) => n.opType)
}

test('attention: the scale is the product’s own, and heads move whole rows', () => {
  const [Token, Head, Dim] = [axis('token', 6), axis('head', 2), axis('dim', 4)]
  const of = (name: string, first: Axis): Tensor => input(name, [axis('row', 3), first, Head, Dim])
  const key = axis('key', 6)
  const operations = operationsOf(() => {
    const [q, k, v] = [of('q', Token), of('k', key), of('v', key)]
    return { outputs: { y: attend(q, k, v, 'dim') } }
  })
  assert.is(operations.filter((o) => o === 'Mul').length, 0)
  assert.is(operations.filter((o) => o === 'Transpose').length, 4)
  assert.ok(operations.includes('FusedMatMul'))
})

test('a product takes a number over from an operand only where the sum stays finite without it', () => {
  const [Row, Dim, Out] = [axis('row', 3), axis('dim', 4), axis('out', 2)]
  const scales = (by: number): number =>
    operationsOf(() => ({
      outputs: { y: contract(mul(input('x', [Row, Dim]), by), input('w', [Dim, Out]), 'dim') as Tensor },
    })).filter((o) => o === 'Mul').length
  assert.equal([0.25, -1000, 1e-30, 1e6, 0].map(scales), [0, 0, 1, 1, 1])
})

test('a product with a vector has no view around it', () => {
  const [Row, Token, Dim] = [axis('row', 3), axis('token', 5), axis('dim', 4)]
  const x = input('x', [Row, Token, Dim])
  assert.equal(
    operationsOf(() => ({ outputs: { y: contract(x, input('w', [Dim]), 'dim') as Tensor } })),
    ['MatMul'],
  )
})

test('a choice by a triangle that is known, on either side, sets what is hidden to 0 and adds −∞; another is a choice', async () => {
  // masks of fewer elements are literals before they come here
  const n = 70
  const [Token, Key] = [axis('token', n), axis('key', n)]
  const [at, keys] = [iota(Token), iota(Key)]
  const places = (a: Axis, f: (i: number) => number): Tensor =>
    constant(
      Int32Array.from({ length: n }, (_, i) => f(i)),
      [a],
    )
  const twice = (i: number): number => Math.max(1, i)
  const masks: Readonly<Record<string, readonly [mask: Tensor, choices: number]>> = {
    causal: [causal(Token), 0],
    'of a block that begins later': [
      lessEqual(
        places(Key, (i) => i + 7),
        places(Token, (i) => i + 7),
      ),
      0,
    ],
    'turned round': [transpose(causal(Token), ['key', 'token']), 0],
    'from the other side': [lessEqual(at, keys), 0],
    'without the diagonal': [less(keys, at), 1],
    'a window': [and(lessEqual(keys, at), less(sub(at, 3), keys)), 1],
    'other places': [
      lessEqual(
        places(Key, (i) => (i < 60 ? i : i + 1)),
        at,
      ),
      1,
    ],
    'places that come twice': [lessEqual(places(Key, twice), places(Token, twice)), 1],
    fed: [lessEqual(keys, input('at', [Token], 'int32')), 1],
  }
  const fed = Array.from({ length: n }, (_, i) => (i * 29) % n)
  const { right: engine } = (await onnxEngine()()) as { right: Engine }
  for (const order of [
    [axis('batch', 2), Token, Key],
    [Key, Token],
  ])
    for (const [name, [mask, choices]] of Object.entries(masks)) {
      const y = select(mask, input('x', order), Number.NEGATIVE_INFINITY) as Tensor
      assert.is(operationsOf(() => ({ outputs: { y } })).filter((o) => o === 'Where').length, choices, name)
      const x = Array.from({ length: elements(order) }, (_, i) => Math.sin(i))
      // what is hidden is not looked at
      const [hides] = evaluate([broadcast(mask, order)], { inputs: { at: fed } })
      hides!.forEach((seen, i) => {
        if (seen === 0) x[i] = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY][i % 3]!
      })
      const inputs = { x, at: fed }
      const [want] = evaluate([y], { inputs })
      const [got] = await onEngine(engine, [y], inputs)
      assert.equal([...got!], Array.from(want!, Math.fround), name)
    }
})

test('a large triangle is no constant of the model', () => {
  const bytes = (n: number): number => {
    const token = axis('token', n)
    const build = (): Results => ({
      outputs: { y: select(causal(token), input('x', [token, axis('key', n)]), Number.NEGATIVE_INFINITY) },
    })
    const p = program({ name: 'triangle', functions: { f: fixed(build) } })
    const { initializer } = lower('f', p.functions.get('f')![0]!).model.graph
    return Math.max(...initializer!.map((i) => i.rawData!.byteLength))
  }
  assert.is(bytes(2048), 4 * 2048 ** 2)
  assert.is(bytes(2049), 4 * 2049)
})

test('a sum of squares is one operation; squares that others need, and products of two, are not', async () => {
  const x = input('x', [axis('row', 150), axis('column', 90)])
  const { right: engine } = (await onnxEngine()()) as { right: Engine }
  const cases: readonly (readonly [roots: readonly Tensor[], operations: number])[] = [
    [[sum(mul(x, x), 'row', 'column')], 1],
    [[sum(mul(x, x), 'row')], 1],
    [[sum(mul(x, mul(x, 2)), 'row')], 0],
    [[sum(mul(x, x), 'row'), mul(x, x)], 0],
  ]
  for (const [roots, operations] of cases) {
    const made = operationsOf(() => ({ outputs: Object.fromEntries(roots.map((t, i) => [`y${i}`, t])) }))
    assert.is(made.filter((o) => o === 'ReduceSumSquare').length, operations)
    const inputs = { x: Array.from({ length: elements(x.axes) }, (_, i) => Math.sin(i)) }
    const [want] = evaluate(roots, { inputs })
    const [got] = await onEngine(engine, roots, inputs)
    for (const [i, w] of want!.entries()) assert.ok(Math.abs(got![i]! - w) <= 1e-6 * Math.abs(w) + 1e-5)
  }
})

test('a sum of which one element a row is left is that element, where its place cannot lie outside', async () => {
  const [Row, Block, Inner] = [axis('row', 5), axis('block', 4), axis('inner', 3)]
  const x = input('x', [Row, Block, Inner])
  const likeliest: Tensor = argmax(input('scores', [Row, axis('choice', 4)]), 'choice')
  const given: Tensor = input('place', [Row], 'int32')
  const chosen = (place: Tensor, of: Tensor = x): Tensor =>
    sum(select(equal(place, iota(Block)), of, 0), 'block')
  const { right: engine } = (await onnxEngine()()) as { right: Engine }
  const cases: readonly (readonly [root: Tensor, operations: number])[] = [
    [chosen(likeliest), 1],
    [chosen(sub(3, likeliest)), 1],
    [chosen(sub(likeliest, 1)), 0],
    [chosen(given), 0],
    [sum(select(equal(likeliest, iota(Block)), x, 1), 'block'), 0],
    [sum(select(equal(likeliest, iota(Block)), x, 0), 'inner'), 0],
    [sum(select(less(likeliest, iota(Block)), x, 0), 'block'), 0],
    [chosen(likeliest, sum(x, 'inner')), 1],
  ]
  for (const [root, operations] of cases) {
    const made = operationsOf(() => ({ outputs: { y: root } }))
    assert.is(made.filter((o) => o === 'GatherND').length, operations)
    const inputs = {
      x: Array.from({ length: elements(x.axes) }, (_, i) => Math.sin(i)),
      scores: Array.from({ length: 20 }, (_, i) => Math.sin(5 * i)),
      place: [0, -1, 3, 4, 2],
    }
    const [want] = evaluate([root], { inputs })
    const [got] = await onEngine(engine, [root], inputs)
    for (const [i, w] of want!.entries()) assert.ok(Math.abs(got![i]! - w) <= 1e-6)
  }
})

test('an index behind thousands of operations is looked through', () => {
  const [Row, Choice] = [axis('row', 2), axis('choice', 3)]
  const scores = input('scores', [Row, Choice])
  let index: Tensor = argmax(scores, 'choice')
  for (let i = 0; i < 3000; i++) index = sub(2, index)
  const operations = operationsOf(() => ({ outputs: { y: gather(input('x', [Choice]), index) } }))
  assert.is(operations.filter((o) => o === 'Less').length, 0)
})

test('heads are normed and turned as they lie, by half of the angles', () => {
  const [Row, Token, Head, Dim] = [axis('row', 3), axis('token', 1), axis('head', 2), axis('dim', 4)]
  const operations = operationsOf(() => {
    const place = input('place', [Row, Token], 'int32')
    const x = reshape(input('x', [Row, Token, axis('embed', 8)]), [Row, Token, Head, Dim])
    const normed = rmsNorm(Dim).apply(x)
    return { outputs: { y: rotate(normed, rotations(place, Dim, 1e4), 'dim') } }
  })
  const count = (o: string): number => operations.filter((x) => x === o).length
  assert.equal([count('RotaryEmbedding'), count('Concat'), count('Slice')], [1, 0, 0])
  // the heads of x, the place, the angles twice, and the result's own axes
  assert.is(count('Reshape'), 5)
})

test.run()
