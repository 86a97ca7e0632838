/** What looks alike and is not the same: pairs of nodes that passes and programs must keep apart. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { evaluate } from '../../src/dsl/evaluate.ts'
import {
  add,
  argmax,
  axis,
  buckets,
  cast,
  concat,
  constant,
  div,
  fixed,
  GraphError,
  input,
  less,
  lessEqual,
  max,
  mul,
  normal,
  ones,
  pad,
  parameter,
  pow,
  program,
  scalar,
  slice,
  softmax,
  state,
  sub,
  sum,
  type Tensor,
  transpose,
  zeros,
} from '../../src/dsl/index.ts'
import {
  clampProgram,
  commonSubexpressions,
  foldConstants,
  optimise,
  optimiseProgram,
} from '../../src/dsl/passes/index.ts'

const apart = suite('dsl: what passes keep apart')

const [A, B] = [axis('a', 3), axis('b', 3)]
const [x, y] = [input('x', [A, B]), input('y', [A, B])]
const c = constant(Float32Array.of(0, 1, 2), [A])
const feeds = {
  x: [0.5, -1.5, 2.5, 0, 1, -0.25, 3.75, -2, 0.125],
  y: [1.5, 2, -0.5, 0.75, -1, 4, 0.25, 3, -2.5],
}

/** Neighbours that differ in one thing: an order, a number, a name, a dtype. */
const pairs: Readonly<Record<string, readonly [Tensor, Tensor]>> = {
  'a difference and the other one': [sub(x, y), sub(y, x)],
  'a quotient and the other one': [div(x, y), div(y, x)],
  'a power and the other one': [pow(add(mul(x, x), 1), y), pow(y, add(mul(x, x), 1))],
  'less and greater': [less(x, y), less(y, x)],
  'less and less or equal': [less(x, x), lessEqual(x, x)],
  'casts to whole numbers and to bools': [cast(x, 'int32'), cast(x, 'bool') as Tensor],
  'pads before and after': [pad(x, 'a', 1, 2), pad(x, 'a', 2, 1)],
  'pads along the one and the other axis': [pad(x, 'a', 1, 1), pad(x, 'b', 1, 1)],
  'the first and the last rows': [slice(x, 'a', 0, 2), slice(x, 'a', 1, 2)],
  'rows and columns': [slice(x, 'a', 0, 2), transpose(slice(x, 'b', 0, 2), ['b', 'a'])],
  'joined this way and that': [concat([x, y], 'a'), concat([y, x], 'a')],
  'sums over the one and the other axis': [sum(x, 'a'), sum(x, 'b')],
  'a sum and a maximum': [sum(x, 'a'), max(x, 'a')],
  'softmax over the one and the other axis': [softmax(x, 'a'), softmax(x, 'b')],
  'the largest over the one and the other axis': [argmax(y, 'a'), argmax(y, 'b')],
  'literals that begin alike': [mul(x, c), mul(x, constant(Float32Array.of(0, 1, 3), [A]))],
  'a literal along the one and the other axis': [mul(x, c), mul(x, constant(Float32Array.of(0, 1, 2), [B]))],
  '0 and −0': [div(1, mul(scalar(0), 1)), div(1, mul(scalar(-0), 1))],
  'x less 0 and 0 less x': [sub(x, 0), sub(0, x)],
  'x over 1 and 1 over x': [div(add(mul(x, x), 1), 1), div(1, add(mul(x, x), 1))],
  'x to the 1 and 1 to the x': [pow(add(mul(x, x), 1), 1), pow(1, x)],
  'x plus 1 and x times 1': [add(x, 1), mul(x, 1)],
  'a slice of a slice and the slice itself': [slice(slice(x, 'a', 1, 2), 'a', 1, 1), slice(x, 'a', 1, 1)],
  'a slice of a joined part and of the whole': [
    slice(concat([x, y], 'a'), 'a', 3, 2),
    slice(concat([x, y], 'a'), 'a', 1, 2),
  ],
}

const passes = { commonSubexpressions, foldConstants, optimise }
for (const [what, pair] of Object.entries(pairs))
  apart(what, () => {
    const before = evaluate(pair, { inputs: feeds })
    assert.ok(
      pair[0].axes.length !== pair[1].axes.length || !before[0]!.every((v, i) => Object.is(v, before[1]![i])),
      'the pair differs',
    )
    for (const [name, pass] of Object.entries(passes)) {
      const after = pass([...pair])
      assert.equal(
        after.map((t) => [t.axes, t.dtype]),
        pair.map((t) => [t.axes, t.dtype]),
      )
      evaluate(after, { inputs: feeds }).forEach((v, i) => {
        assert.ok(
          v.every((n, k) => Math.abs(n - before[i]![k]!) <= 1e-6 || Object.is(n, before[i]![k])),
          `${name} changes ${i === 0 ? 'the first' : 'the second'}: ${[...v]} for ${[...before[i]!]}`,
        )
      })
    }
  })

apart.run()

// --- programs ---------------------------------------------------------------------------------------------------

const programs = suite('dsl: what a program keeps apart')

const refused = (functions: Parameters<typeof program>[0]['functions']): GraphError => {
  try {
    program({ name: 'p', functions })
  } catch (e) {
    assert.ok(e instanceof GraphError, String(e))
    return e
  }
  throw new Error('it was not refused')
}
const shows = (t: Tensor) => fixed(() => ({ outputs: { y: mul(t, 1) } }))
const moves = (key: string, t: Tensor) =>
  fixed(() => ({ outputs: {}, next: new Map<string, Tensor>([[key, t]]) }))

programs('one key names one state of one shape and one dtype, in all functions', () => {
  const [of, other] = [state('w', [A, B], zeros), state('w', [A, axis('c', 4)], zeros)]
  const e = refused({ f: shows(of), g: shows(other) })
  assert.is(e.tag, 'KeyConflict')
  assert.match(e.message, /state 'w' is declared as .*a 3.*b 3.* and as .*a 3.*c 4/)
  assert.is(refused({ f: shows(of), g: shows(state('w', [A], zeros)) }).tag, 'KeyConflict')
  assert.is(
    refused({ f: shows(of), g: fixed(() => ({ outputs: { y: state('w', [A, B], zeros, 'int32') } })) }).tag,
    'KeyConflict',
  )
  // other names for axes of the same sizes are the same state: a tied head calls them otherwise
  assert.is(
    program({ name: 'p', functions: { f: shows(of), g: shows(state('w', [B, A], zeros)) } }).states.size,
    1,
  )
})

programs('one key begins in one way, in all functions', () => {
  const of = state('w', [A, B], normal(0.02))
  const e = refused({ f: shows(of), g: shows(state('w', [A, B], normal(0.5))) })
  assert.is(e.tag, 'KeyConflict')
  assert.match(e.message, /state 'w' begins with normal \(std 0\.02\) and with normal \(std 0\.5\)/)
  assert.is(refused({ f: shows(add(of, state('w', [A, B], ones))) }).tag, 'KeyConflict')
  assert.is(
    program({ name: 'p', functions: { f: shows(of), g: shows(state('w', [A, B], normal(0.02))) } }).states
      .size,
    1,
  )
})

programs('an input is of one shape in a function, and may be of another in the next', () => {
  const [one, two] = [input('n', [A]), input('n', [axis('a', 4)])]
  assert.is(
    refused({ f: fixed(() => ({ outputs: { one: mul(one, 1), two: mul(two, 1) } })) }).tag,
    'KeyConflict',
  )
  assert.is(program({ name: 'p', functions: { f: shows(one), g: shows(two) } }).functions.size, 2)
})

programs('a next value has the shape and the dtype of its state, and its state is read somewhere', () => {
  const w = parameter('w', [A], ones)
  assert.is(refused({ f: shows(w), g: moves('v', w) }).tag, 'KeyConflict')
  assert.is(refused({ f: shows(w), g: moves('w', input('x', [axis('a', 4)])) }).tag, 'SizeMismatch')
  assert.is(refused({ f: shows(w), g: moves('w', input('x', [A], 'int32')) }).tag, 'SizeMismatch')
  const p = program({ name: 'p', functions: { g: moves('w', input('x', [A])), f: shows(w) } })
  assert.equal([...p.functions.get('g')![0]!.states.keys()], ['w'])
})

programs('each bucket is built at its own size', () => {
  const f = buckets([2, 5], (n) => ({ outputs: { y: sum(input('x', [axis('n', n)]), 'n') } }))
  const variants = program({ name: 'p', functions: { f } }).functions.get('f')!
  assert.equal(
    variants.map((v) => v.inputs.get('x')!.axes),
    [[axis('n', 2)], [axis('n', 5)]],
  )
  assert.is(refused({ f: buckets([], () => ({ outputs: {} })) }).tag, 'BadArgument')
})

programs('a function that several programs have is built once, and they have its graph in common', () => {
  let built = 0
  const f = buckets([2, 5], (n) => {
    built++
    return { outputs: { y: sum(input('x', [axis('n', n)]), 'n') } }
  })
  const g = fixed(() => {
    built++
    return { outputs: { y: mul(x, 2) } }
  })
  const [one, two] = [
    program({ name: 'one', functions: { f, g } }),
    program({ name: 'two', functions: { g, f } }),
  ]
  assert.is(built, 3)
  for (const [name, variants] of one.functions)
    variants.forEach((v, i) => {
      assert.is(two.functions.get(name)![i], v)
    })
  // what is made of them is made once as well
  const [a, b] = [one, two].map((p) => clampProgram(optimiseProgram(p)).functions.get('f')![1]!)
  assert.is(a, b)
  // under another name it is another function
  const again = program({ name: 'three', functions: { f, again: f } })
  assert.is.not(again.functions.get('again')![0], again.functions.get('f')![0])
})

programs('a function that replaces a state is another one where that state begins otherwise', () => {
  const f = fixed(() => ({ outputs: {}, next: new Map([['w', input('x', [A])]]) }))
  const beginning = (w: Tensor) => {
    const { functions } = program({ name: 'p', functions: { f, g: shows(w) } })
    const { op } = functions.get('f')![0]!.states.get('w')!
    return op.op === 'state' ? op.init : undefined
  }
  assert.equal(
    [zeros, ones, zeros].map((init) => beginning(state('w', [A], init))),
    [zeros, ones, zeros],
  )
})

programs.run()
