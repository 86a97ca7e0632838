/** Gradients where a function has no derivative, or an infinite one: PyTorch's numbers, on the evaluator and on every engine. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  abs,
  axis,
  crossEntropy,
  div,
  evaluate,
  floor,
  gradient,
  input,
  log,
  logSoftmax,
  max,
  maximum,
  minimum,
  mul,
  pow,
  rsqrt,
  select,
  softmax,
  sqrt,
  type Tensor,
  total,
} from '../../src/dsl/index.ts'
import { presentEngines } from '../support/engines.ts'
import { onEngine } from '../support/on-engine.ts'

const engines = await presentEngines()
const test = suite('engines: gradients at points without a derivative')

const inf = Number.POSITIVE_INFINITY

interface Point {
  readonly name: string
  /** Of the leaves `a` and, where it is given, `b`, of one axis. */
  readonly f: (a: Tensor, b: Tensor) => Tensor
  readonly a: readonly number[]
  readonly b?: readonly number[]
  /** The gradient of the sum. */
  readonly da: readonly number[]
  readonly db?: readonly number[]
}

/** What `torch.autograd.grad(f(a, b).sum(), …)` gives. */
const points: readonly Point[] = [
  { name: 'abs', f: abs, a: [0, -2, 3], da: [0, -1, 1] },
  { name: 'floor', f: (x) => mul(floor(x), 3), a: [0, 1, -0.5], da: [0, 0, 0] },
  { name: 'maximum', f: maximum, a: [1, 2, 0], b: [1, 0, 5], da: [0.5, 1, 0], db: [0.5, 0, 1] },
  { name: 'minimum', f: minimum, a: [1, 2, 0], b: [1, 0, 5], da: [0.5, 0, 1], db: [0.5, 1, 0] },
  { name: 'maximum with 0', f: (x) => maximum(x, 0), a: [0, -1, 1], da: [0.5, 0, 1] },
  { name: 'reduce max', f: (x) => max(x, 'i' as never), a: [3, 3, 1], da: [0.5, 0.5, 0] },
  {
    name: 'pow at base 0',
    f: pow,
    a: [0, 0, 0, 0, 0],
    b: [0, 1, 2, 3, 0.5],
    da: [0, 1, 0, 0, inf],
    db: [0, 0, 0, 0, 0],
  },
  { name: 'pow at exponent 0', f: pow, a: [2, 0.5, -3], b: [0, 0, 0], da: [0, 0, 0] },
  { name: 'pow, exponent 0', f: pow, a: [2, 0.5], b: [0, 0], da: [0, 0], db: [Math.log(2), Math.log(0.5)] },
  { name: 'pow of a negative', f: pow, a: [-2, -2], b: [2, 3], da: [-4, 12] },
  { name: 'x² of 0', f: (x) => pow(x, 2), a: [0, 3], da: [0, 6] },
  { name: 'x⁰ of 0', f: (x) => pow(x, 0), a: [0, 3], da: [0, 0] },
  { name: 'x¹ of 0', f: (x) => pow(x, 1), a: [0, 3], da: [1, 1] },
  { name: '0 to the x', f: (x) => pow(0, x), a: [0, 1, 2], da: [0, 0, 0] },
  { name: 'sqrt', f: sqrt, a: [0, 4], da: [inf, 0.25] },
  { name: 'log', f: log, a: [0, 2], da: [inf, 0.5] },
  { name: 'rsqrt', f: rsqrt, a: [0, 4], da: [-inf, -1 / 16] },
  { name: 'div by 0', f: div, a: [1, -1], b: [0, 0], da: [inf, inf], db: [-inf, inf] },
  {
    name: 'softmax with −∞',
    f: (x) => mul(softmax(x, 'i' as never), input('b', [axis('i', 3)])),
    a: [0, 0, -inf],
    b: [1, 3, 7],
    da: [-0.5, 0.5, 0],
  },
  {
    name: 'logSoftmax with −∞',
    f: (x) => select(input('b', [axis('i', 3)], 'bool'), logSoftmax(x, 'i' as never), 0),
    a: [0, 0, -inf],
    b: [1, 0, 0],
    da: [0.5, -0.5, 0],
  },
  {
    name: 'a guarded argument',
    f: (x) => {
      const positive = input('b', [axis('i', 3)], 'bool')
      return select(positive, log(select(positive, x, 1)), 0)
    },
    a: [0, -1, 2],
    b: [0, 0, 1],
    da: [0, 0, 0.5],
  },
]

for (const p of points) {
  const i = axis('i', p.a.length)
  const [a, b] = [input('a', [i]), input('b', [i])]
  const wrt = p.db === undefined ? [a] : [a, b]
  const roots = gradient(total(p.f(a, b)), wrt)
  const want = p.db === undefined ? [p.da] : [p.da, p.db]
  const inputs = { a: p.a, ...(p.b === undefined ? {} : { b: p.b }) }
  const agrees = (who: string, got: readonly ArrayLike<number>[]): void =>
    want.forEach((w, k) => {
      w.forEach((x, n) => {
        const y = got[k]![n]!
        assert.ok(
          y === x || Math.abs(y - x) <= 1e-6 * Math.abs(x),
          `${who}, input ${k}, place ${n}: ${y} for ${x}`,
        )
      })
    })
  test(p.name, async () => {
    agrees('evaluator', evaluate(roots, { inputs }))
    for (const engine of engines) agrees(engine.name, await onEngine(engine, roots, inputs))
  })
}

test('cross-entropy of which no label counts: mean 0 and gradient 0', async () => {
  const [row, column] = [axis('row', 3), axis('class', 4)]
  const logits = input('logits', [row, column])
  const { mean, count } = crossEntropy(logits, input('labels', [row], 'int32'), 'class')
  const roots = [mean, count, ...gradient(mean, [logits])]
  for (const scale of [1, 1e4]) {
    const inputs = {
      labels: [-100, -100, -100],
      logits: Array.from({ length: 12 }, (_, n) => Math.sin(n) * scale),
    }
    const zeros = [[0], [0], new Array(12).fill(0)]
    assert.equal(
      evaluate(roots, { inputs }).map((v) => Array.from(v, (x) => x + 0)),
      zeros,
    )
    for (const engine of engines)
      assert.equal(
        (await onEngine(engine, roots, inputs)).map((v) => v.map((x) => x + 0)),
        zeros,
        engine.name,
      )
  }
})

test.run()
