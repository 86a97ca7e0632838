/**
 * The gradient's table: for each primitive, what flows back to each of its inputs.
 *
 * A row gets the node `y` and the gradient `g` with respect to it, and answers one thunk an input; a thunk is only called
 * where that input's gradient is wanted. `undefined` says that nothing flows there.
 *
 * Where a function has no derivative, or an infinite one, the rows follow PyTorch:
 *
 * | function | where | the derivative that is taken |
 * |---|---|---|
 * | `abs` | 0 | 0 |
 * | `floor`, comparisons, `argmax`, casts to other dtypes | everywhere | 0 |
 * | `max`, `min` of two | a = b | ½ for each |
 * | `reduce max` | k elements are largest | 1/k for each |
 * | `pow` by its base | exponent 0 | 0, at base 0 too |
 * | `pow` by its base | base 0 | exponent > 1: 0; 1: 1; between 0 and 1, or below 0: infinite |
 * | `pow` by its exponent | base 0 | exponent ≥ 0: 0; below 0: −∞ |
 * | `pow` by its exponent | base < 0 | NaN |
 * | `sqrt`, `log`, `rsqrt`, `div` by its divisor | 0 | infinite |
 * | `softmax`, `logSoftmax` | some −∞ | 0 from and to those; all −∞: NaN |
 * | `select` | everywhere | that of the branch which was chosen; 0 for the other |
 *
 * An infinite derivative times a gradient of 0 is NaN, in PyTorch as here: `select(x > 0, log(x), 0)` has a NaN at 0. Guard
 * the argument and not the result: `log(select(x > 0, x, 1))`.
 */
import type { Names } from './axis.ts'
import { contractChosenOf, outerChosenOf } from './chosen.ts'
import { composite } from './composite.ts'
import { contractOf } from './contract.ts'
import { castTo } from './elementwise.ts'
import { GraphError } from './error.ts'
import { type BinaryFn, findAxis, node, type Op, type OpName, type Tensor, type UnaryFn } from './graph.ts'
import { gatherOf, scatterAddOf } from './indexing.ts'
import { notation } from './notation.ts'
import { reduceOf } from './reduce.ts'
import { broadcasted, reshaped, transposed } from './shape.ts'
import type { Site } from './site.ts'

/** The gradient for one input, built only on demand. */
export type Flow = (() => Tensor) | undefined

type Row<K extends OpName> = (y: Tensor, g: Tensor, op: Extract<Op, { op: K }>, site: Site) => readonly Flow[]

const x0 = (y: Tensor): Tensor => y.inputs[0]!
const x1 = (y: Tensor): Tensor => y.inputs[1]!

/** Sums over the axes that `to` lacks, and brings the rest into its order. */
const unbroadcast = (g: Tensor, to: Tensor, site: Site): Tensor => {
  const extra = g.axes.filter((a) => findAxis(to, a.name) === undefined).map((a) => a.name)
  return transposed(reduceOf('sum', g, extra, site), to.names, site)
}

/** The notation of one row, all of whose nodes have the site of `y`. */
type Notation = ReturnType<typeof notation>

/** dx of y = f(x). */
type UnaryRow = (n: Notation, x: Tensor, y: Tensor, g: Tensor) => Tensor

const unaryRows: Readonly<Record<UnaryFn, UnaryRow | undefined>> = {
  neg: ({ neg }, _x, _y, g) => neg(g),
  exp: ({ mul }, _x, y, g) => mul(g, y),
  log: ({ div }, x, _y, g) => div(g, x),
  sqrt: ({ mul, div }, _x, y, g) => div(mul(g, 0.5), y),
  rsqrt: ({ mul }, _x, y, g) => mul(mul(g, -0.5), mul(y, mul(y, y))),
  tanh: ({ mul, sub }, _x, y, g) => mul(g, sub(1, mul(y, y))),
  erf: ({ exp, mul, neg }, x, _y, g) => mul(g, mul(exp(neg(mul(x, x))), 2 / Math.sqrt(Math.PI))),
  sigmoid: ({ mul, sub }, _x, y, g) => mul(g, mul(y, sub(1, y))),
  sin: ({ cos, mul }, x, _y, g) => mul(g, cos(x)),
  cos: ({ mul, neg, sin }, x, _y, g) => neg(mul(g, sin(x))),
  abs: ({ less, neg, where }, x, _y, g) => where(less(x, 0), neg(g), where(less(0, x), g, 0)),
  floor: undefined,
  not: undefined,
}

/** da and db of y = f(a, b). */
type BinaryRow = (n: Notation, a: Tensor, b: Tensor, y: Tensor, g: Tensor) => readonly (() => Tensor)[]

const binaryRows: Readonly<Record<BinaryFn, BinaryRow>> = {
  add: (_n, _a, _b, _y, g) => [() => g, () => g],
  sub: ({ neg }, _a, _b, _y, g) => [() => g, () => neg(g)],
  mul: ({ mul }, a, b, _y, g) => [() => mul(g, b), () => mul(g, a)],
  div: ({ div, mul, neg }, _a, b, y, g) => [() => div(g, b), () => neg(div(mul(g, y), b))],
  max: ({ equal, less, mul, where }, a, b, _y, g) => [
    () => where(equal(a, b), mul(g, 0.5), where(less(b, a), g, 0)),
    () => where(equal(b, a), mul(g, 0.5), where(less(a, b), g, 0)),
  ],
  min: ({ equal, less, mul, where }, a, b, _y, g) => [
    () => where(equal(a, b), mul(g, 0.5), where(less(a, b), g, 0)),
    () => where(equal(b, a), mul(g, 0.5), where(less(b, a), g, 0)),
  ],
  pow: ({ and, equal, lessEqual, log, mul, pow, sub, where }, a, b, y, g) => [
    // where the exponent is 0 it is the factor b that is 0, whatever the power
    () => mul(g, mul(b, pow(a, sub(where(equal(b, 0), 1, b), 1)))),
    () => mul(g, mul(y, log(where(and(equal(a, 0), lessEqual(0, b)), 1, a)))),
  ],
}

/** da of contract(a, b): the product of the result's gradient with b over b's own axes, in a's order. */
const contractAdjoint = (g: Tensor, a: Tensor, b: Tensor, site: Site): Tensor => {
  const own = b.axes.filter((x) => findAxis(g, x.name) && !findAxis(a, x.name)).map((x) => x.name)
  return own.length > 0
    ? contractOf(g, b, own, site, a.names)
    : transposed(notation(site).mul(g, b), a.names, site)
}

const over = (t: Tensor, name: string): Names => [findAxis(t, name)!.name]

/** One row a primitive. */
export const adjoints: { readonly [K in OpName]: Row<K> } = {
  input: () => [],
  state: () => [],
  constant: () => [],
  iota: () => [],
  stopGradient: () => [undefined],
  compare: () => [undefined, undefined],
  logic: () => [undefined, undefined],
  argmax: () => [undefined],
  argument: () => [],
  loop: (y, _g, _op, s) =>
    y.inputs.map(() => () => {
      throw new GraphError(
        'NotDifferentiable',
        'gradient: a loop has none; write its steps out, or put stopGradient around its result',
        s,
        y.axes,
      )
    }),

  unary: (y, g, { fn }, s) => {
    const row = unaryRows[fn]
    return [row && (() => row(notation(s), x0(y), y, g))]
  },
  binary: (y, g, { fn }, s) => {
    const [a, b] = [x0(y), x1(y)]
    const [da, db] = binaryRows[fn](notation(s), a, b, y, g)
    return [() => unbroadcast(da!(), a, s), () => unbroadcast(db!(), b, s)]
  },
  select: (y, g, _op, s) => {
    const [c, a, b] = y.inputs as readonly [Tensor, Tensor, Tensor]
    const { where } = notation(s)
    return [undefined, () => unbroadcast(where(c, g, 0), a, s), () => unbroadcast(where(c, 0, g), b, s)]
  },
  cast: (y, g, _op, s) => [
    x0(y).dtype === 'float32' && y.dtype === 'float32' ? () => castTo(g, 'float32', s) : undefined,
  ],

  reduce: (y, g, { fn }, s) => {
    const x = x0(y)
    if (fn === 'sum') return [() => broadcasted(g, x.axes, s)]
    const { div, equal, float, mul, sum } = notation(s)
    return [
      () => {
        const largest = float(equal(x, y))
        const ties = sum(largest, reducedAway(x, y))
        return transposed(mul(largest, div(g, ties)), x.names, s)
      },
    ]
  },
  softmax: (y, g, op, s) => {
    const { mul, sub, sum } = notation(s)
    const weighted = mul(g, y)
    return [() => sub(weighted, mul(y, sum(weighted, over(y, op.over))))]
  },
  logSoftmax: (y, g, op, s) => {
    const { exp, mul, sub, sum } = notation(s)
    return [() => sub(g, mul(exp(y), sum(g, over(y, op.over))))]
  },

  contract: (y, g, _op, s) => [
    () => contractAdjoint(g, x0(y), x1(y), s),
    () => contractAdjoint(g, x1(y), x0(y), s),
  ],

  reshape: (y, g, _op, s) => [() => reshaped(g, x0(y).axes, s)],
  transpose: (y, g, _op, s) => [() => transposed(g, x0(y).names, s)],
  broadcast: (y, g, _op, s) => [() => unbroadcast(g, x0(y), s)],
  slice: (y, g, { along, start }, s) => {
    const x = x0(y)
    const after = findAxis(x, along)!.size - start - findAxis(y, along)!.size
    return [() => node({ op: 'pad', along, before: start, after }, [g], x.axes, g.dtype, s)]
  },
  pad: (y, g, { along, before }, s) => [
    () => node({ op: 'slice', along, start: before }, [g], x0(y).axes, g.dtype, s),
  ],
  concat: (y, g, { along }, s) => {
    let start = 0
    return y.inputs.map((x) => {
      const from = start
      start += findAxis(x, along)!.size
      return () => node({ op: 'slice', along, start: from }, [g], x.axes, g.dtype, s)
    })
  },

  gather: (y, g, _op, s) => [() => scatterAddOf(x1(y), g, x0(y).axes[0]!, s), undefined],
  scatterAdd: (y, g, _op, s) => [undefined, () => gatherOf(g, x0(y), s)],

  contractChosen: (y, g, _op, s) => {
    const [x, index, ...matrices] = y.inputs as readonly [Tensor, Tensor, ...Tensor[]]
    const out = y.names.at(-1)!
    return [
      () => contractChosenOf(g, index, matrices, out, s),
      undefined,
      ...matrices.map((m, i) => () => outerChosenOf(g, x, index, i, matrices.length, m.names, s)),
    ]
  },
  // g is a matrix: a row of a takes the product of g with its row of b where it was chosen, else 0
  outerChosen: (y, g, { choice }, s) => {
    const [a, b, index] = y.inputs as readonly [Tensor, Tensor, Tensor]
    const { equal, where } = notation(s)
    const flow = (other: Tensor) => () =>
      where(equal(index, choice), contractOf(other, g, [other.names.at(-1)!], s), 0)
    return [flow(b), flow(a), undefined]
  },

  composite: (y, g, op, s) => {
    if (op.kind !== 'crossEntropy') return [() => g, ...y.inputs.slice(1).map(() => undefined)]
    // softmax − one-hot is cheaper than the gradient of the definition, and engines compute it beside the loss
    const [, logits, target] = y.inputs as readonly [Tensor, Tensor, Tensor]
    return [
      undefined,
      () => notation(s).mul(crossEntropyGradient(logits, target, String(op.settings.axis), s), g),
      undefined,
    ]
  },
}

/** The axes that a reduction of x to y took away. */
const reducedAway = (x: Tensor, y: Tensor): Names =>
  x.axes.filter((a) => findAxis(y, a.name) === undefined).map((a) => a.name)

/** softmax(logits) − one-hot(target), as a composite. */
const crossEntropyGradient = (logits: Tensor, target: Tensor, axis: string, s: Site): Tensor => {
  const { equal, float, sub } = notation(s)
  const a = findAxis(logits, axis)!
  const p = node({ op: 'softmax', over: axis }, [logits], logits.axes, 'float32', s)
  const places = node({ op: 'iota' }, [], [a], 'int32', s)
  const hit = float(transposed(equal(target, places), logits.names, s))
  return composite('crossEntropyGradient', { axis }, sub(p, hit), [logits, target], s)
}
