/** Loops: what they mean, what is wrong with them, and that passes, fingerprints and costs look into their bodies. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { evaluate } from '../../src/dsl/evaluate.ts'
import {
  add,
  axis,
  cast,
  constant,
  cost,
  equal,
  fingerprint,
  fixed,
  gather,
  gradient,
  greater,
  input,
  iota,
  isFixed,
  loop,
  mul,
  program,
  type Scalar,
  scalar,
  state,
  stopGradient,
  sum,
  type Tensor,
  topological,
  total,
  zeros,
} from '../../src/dsl/index.ts'
import { optimise } from '../../src/dsl/passes/index.ts'

const test = suite('dsl: loop')
const row = axis('row', 3)

const numbers = (t: Tensor, inputs: Readonly<Record<string, readonly number[]>>): number[] => [
  ...evaluate([t], { inputs })[0]!,
]

test('a step is repeated over what it carries; the step’s number and what is outside are there in each', () => {
  const [x, factor] = [input('x', [row]), input('factor', [])]
  const { y, seen } = loop({
    times: 3,
    carried: { y: x, seen: scalar(0, 'int32') },
    step: ({ y, seen }, i) => ({ next: { y: mul(y, factor), seen: add(seen, mul(i, 10)) } }),
  })
  assert.equal(numbers(y, { x: [1, 2, 3], factor: [2] }), [8, 16, 24])
  assert.equal(numbers(seen, { x: [1, 2, 3], factor: [2] }), [30])
})

test('no step leaves what it began with; a step that says so is the last', () => {
  const x = input('x', [])
  const of = (times: number, last: number): Tensor =>
    loop({
      times,
      carried: { y: x },
      step: ({ y }) => ({ next: { y: mul(y, 2) }, done: greater(y, last) as Scalar }),
    }).y
  assert.equal(numbers(of(0, 0), { x: [5] }), [5])
  assert.equal(numbers(of(10, 30), { x: [5] }), [80])
  assert.equal(numbers(of(10, 3), { x: [5] }), [10], 'the step itself is done')
})

test('a loop inside a loop', () => {
  const x = input('x', [row])
  const { y } = loop({
    times: 2,
    carried: { y: x },
    step: ({ y }, i) => ({
      next: {
        y: loop({
          times: 3,
          carried: { z: y },
          step: ({ z }, j) => ({ next: { z: add(add(z, x), cast(add(i, j), 'float32')) } }),
        }).z,
      },
    }),
  })
  // 3 x and 0 + 1 + 2, then 3 x and 1 + 2 + 3
  assert.equal(numbers(y, { x: [1, 2, 3] }), [16, 23, 30])
  assert.equal([...evaluate(optimise([y]), { inputs: { x: [1, 2, 3] } })[0]!], [16, 23, 30])
})

test('a gradient through a loop is refused with the line of the loop; around it there is one', () => {
  const x = input('x', [])
  const { y } = loop({ times: 2, carried: { y: x }, step: ({ y }) => ({ next: { y: mul(y, y) } }) })
  assert.throws(
    () => gradient(y, [x]),
    (e: Error) =>
      e.name === 'GraphError' &&
      /a loop has none; write its steps out, or put stopGradient around/.test(e.message) &&
      /loop.test.ts/.test(e.message),
  )
  const [slope] = gradient(mul(stopGradient(y), x), [x])
  assert.equal(numbers(slope!, { x: [3] }), [81])
})

test('what is no loop is refused', () => {
  const x = input('x', [row])
  const of = (given: unknown): void => {
    loop(given as Parameters<typeof loop>[0])
  }
  const step = () => ({ next: { x } })
  for (const [given, message] of [
    [{ times: 1.5, carried: { x }, step }, /times is 1.5; give a whole number/],
    [{ times: 1, carried: {}, step }, /nothing is carried/],
    [{ times: 1, carried: { x }, step: () => ({ next: {} }) }, /a step gives no 'x'/],
    [{ times: 1, carried: { x }, step: () => ({ next: { x: total(x) } }) }, /gets 'x' as .*row/],
    [{ times: 1, carried: { x }, step: () => ({ next: { x }, done: x }) }, /one bool is needed/],
  ] as const)
    assert.throws(
      () => of(given),
      (e: Error) => e.name === 'GraphError' && message.test(e.message) && /loop.test.ts/.test(e.message),
    )
})

const twice = (factor: number): Tensor =>
  loop({
    times: 2,
    carried: { y: input('x', [row]) },
    step: ({ y }) => ({ next: { y: mul(y, factor) } }),
  }).y
const printed = (t: Tensor): string =>
  fingerprint(program({ name: 'p', functions: { f: fixed(() => ({ outputs: { t } })) } }))

test('a fingerprint reads the body', () => {
  assert.is(printed(twice(2)), printed(twice(2)))
  assert.is.not(printed(twice(2)), printed(twice(3)))
})

test('the cost of a body counts once a step', () => {
  assert.is(cost([twice(2)]).flops, 6)
})

test('passes go into bodies, and the results of one loop stay results of one', () => {
  const x = input('x', [row])
  const { y, z } = loop({
    times: 2,
    carried: { y: x, z: x },
    step: ({ y, z }) => ({ next: { y: add(mul(y, 1), mul(z, 1)), z: add(mul(y, 1), mul(z, 1)) } }),
  })
  const made = optimise([y, z])
  const bodies = new Set(made.map((t) => (t.op.op === 'loop' ? t.op.body : undefined)))
  assert.is(bodies.size, 1)
  const [body] = bodies
  assert.is(
    topological(body!.results).filter((t) => t.op.op === 'binary').length,
    1,
    'x · 1 is gone, and equal sums are one',
  )
})

test('an index that a body computes stays in range, a literal one out of range is an error', () => {
  const table = input('table', [axis('entry', 2)])
  const of = (index: (i: Tensor) => Tensor): Tensor =>
    loop({
      times: 3,
      carried: { y: scalar(0) },
      step: ({ y }, i) => ({ next: { y: add(y, gather(table, index(i))) } }),
    }).y
  // rows 0, 1, and the last again
  assert.equal(
    numbers(
      of((i) => i),
      { table: [1, 10] },
    ),
    [21],
  )
  assert.throws(() => printed(of(() => scalar(2, 'int32'))), /index .* is 2; gather takes 0 … 1/)
  const [hit] = [equal(iota(row), constant(Int32Array.of(1), []))]
  assert.equal(numbers(sum(cast(hit, 'float32'), 'row'), {}), [1])
})

test('what is the same in every call: literals, and not what is given, held, or goes through a loop', () => {
  const literal = greater(iota(row), 1)
  assert.ok(isFixed(literal))
  assert.not.ok(isFixed(greater(input('x', [row]), 1)))
  assert.not.ok(isFixed(greater(state('w', [row], zeros), 1)))
  const inside: Tensor[] = []
  loop({
    times: 2,
    carried: { y: input('x', [row]) },
    step: ({ y }, i) => {
      inside.push(greater(y, 1), equal(iota(row), i), literal)
      return { next: { y } }
    },
  })
  assert.equal(inside.map(isFixed), [false, false, true])
})

test.run()
