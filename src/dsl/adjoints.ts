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
import { composite } from './composite.ts'
import { contractOf } from './contract.ts'
import { binaryOf, castTo, compareOf, logicOf, selectOf, unaryOf } from './elementwise.ts'
import { type BinaryFn, findAxis, node, type Op, type OpName, type Tensor, type UnaryFn } from './graph.ts'
import { gatherOf, scatterAddOf } from './indexing.ts'
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

type UnaryRow = (x: Tensor, y: Tensor, g: Tensor, s: Site) => Tensor

const m = (a: Tensor | number, b: Tensor | number, s: Site): Tensor => binaryOf('mul', a, b, s)

const unaryRows: Readonly<Record<UnaryFn, UnaryRow | undefined>> = {
  neg: (_x, _y, g, s) => unaryOf('neg', g, s),
  exp: (_x, y, g, s) => m(g, y, s),
  log: (x, _y, g, s) => binaryOf('div', g, x, s),
  sqrt: (_x, y, g, s) => binaryOf('div', m(g, 0.5, s), y, s),
  rsqrt: (_x, y, g, s) => m(m(g, -0.5, s), m(y, m(y, y, s), s), s),
  tanh: (_x, y, g, s) => m(g, binaryOf('sub', 1, m(y, y, s), s), s),
  erf: (x, _y, g, s) =>
    m(g, m(unaryOf('exp', unaryOf('neg', m(x, x, s), s), s), 2 / Math.sqrt(Math.PI), s), s),
  sigmoid: (_x, y, g, s) => m(g, m(y, binaryOf('sub', 1, y, s), s), s),
  sin: (x, _y, g, s) => m(g, unaryOf('cos', x, s), s),
  cos: (x, _y, g, s) => unaryOf('neg', m(g, unaryOf('sin', x, s), s), s),
  abs: (x, _y, g, s) =>
    selectOf(
      compareOf('less', x, 0, s),
      unaryOf('neg', g, s),
      selectOf(compareOf('less', 0, x, s), g, 0, s),
      s,
    ),
  floor: undefined,
  not: undefined,
}

type BinaryRow = (
  a: Tensor,
  b: Tensor,
  y: Tensor,
  g: Tensor,
  s: Site,
) => readonly [() => Tensor, () => Tensor]

/** What flows to `x` where the larger, or the smaller, of it and `other` was taken. */
const toOne = (chosen: Tensor, x: Tensor, other: Tensor, g: Tensor, s: Site): Tensor =>
  selectOf(compareOf('equal', x, other, s), m(g, 0.5, s), selectOf(chosen, g, 0, s), s)
const toLarger = (x: Tensor, other: Tensor, g: Tensor, s: Site): Tensor =>
  toOne(compareOf('less', other, x, s), x, other, g, s)
const toSmaller = (x: Tensor, other: Tensor, g: Tensor, s: Site): Tensor =>
  toOne(compareOf('less', x, other, s), x, other, g, s)

const binaryRows: Readonly<Record<BinaryFn, BinaryRow>> = {
  add: (_a, _b, _y, g) => [() => g, () => g],
  sub: (_a, _b, _y, g, s) => [() => g, () => unaryOf('neg', g, s)],
  mul: (a, b, _y, g, s) => [() => m(g, b, s), () => m(g, a, s)],
  div: (_a, b, y, g, s) => [
    () => binaryOf('div', g, b, s),
    () => unaryOf('neg', binaryOf('div', m(g, y, s), b, s), s),
  ],
  max: (a, b, _y, g, s) => [() => toLarger(a, b, g, s), () => toLarger(b, a, g, s)],
  min: (a, b, _y, g, s) => [() => toSmaller(a, b, g, s), () => toSmaller(b, a, g, s)],
  pow: (a, b, y, g, s) => [
    () => {
      // where the exponent is 0 it is the factor b that is 0, whatever the power
      const less1 = binaryOf('sub', selectOf(compareOf('equal', b, 0, s), 1, b, s), 1, s)
      return m(g, m(b, binaryOf('pow', a, less1, s), s), s)
    },
    () => {
      const flat = logicOf('and', compareOf('equal', a, 0, s), compareOf('lessEqual', 0, b, s), s)
      return m(g, m(y, unaryOf('log', selectOf(flat, 1, a, s), s), s), s)
    },
  ],
}

/** da of contract(a, b): the product of the result's gradient with b over b's own axes, in a's order. */
const contractAdjoint = (g: Tensor, a: Tensor, b: Tensor, site: Site): Tensor => {
  const own = b.axes.filter((x) => findAxis(g, x.name) && !findAxis(a, x.name)).map((x) => x.name)
  return own.length > 0 ? contractOf(g, b, own, site, a.names) : transposed(m(g, b, site), a.names, site)
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

  unary: (y, g, { fn }, s) => {
    const row = unaryRows[fn]
    return [row && (() => row(x0(y), y, g, s))]
  },
  binary: (y, g, { fn }, s) => {
    const [a, b] = [x0(y), x1(y)]
    const [da, db] = binaryRows[fn](a, b, y, g, s)
    return [() => unbroadcast(da(), a, s), () => unbroadcast(db(), b, s)]
  },
  select: (y, g, _op, s) => {
    const [c, a, b] = y.inputs as readonly [Tensor, Tensor, Tensor]
    return [
      undefined,
      () => unbroadcast(selectOf(c, g, 0, s), a, s),
      () => unbroadcast(selectOf(c, 0, g, s), b, s),
    ]
  },
  cast: (y, g, _op, s) => [
    x0(y).dtype === 'float32' && y.dtype === 'float32' ? () => castTo(g, 'float32', s) : undefined,
  ],

  reduce: (y, g, { fn }, s) => {
    const x = x0(y)
    if (fn === 'sum') return [() => broadcasted(g, x.axes, s)]
    return [
      () => {
        const largest = castTo(compareOf('equal', x, y, s), 'float32', s)
        const ties = reduceOf('sum', largest, reducedAway(x, y), s)
        return transposed(m(largest, binaryOf('div', g, ties, s), s), x.names, s)
      },
    ]
  },
  softmax: (y, g, op, s) => {
    const weighted = m(g, y, s)
    return [() => binaryOf('sub', weighted, m(y, reduceOf('sum', weighted, over(y, op.over), s), s), s)]
  },
  logSoftmax: (y, g, op, s) => [
    () => {
      const p = unaryOf('exp', y, s)
      return binaryOf('sub', g, m(p, reduceOf('sum', g, over(y, op.over), s), s), s)
    },
  ],

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

  composite: (y, g, op, s) => {
    if (op.kind !== 'crossEntropy') return [() => g, ...y.inputs.slice(1).map(() => undefined)]
    // softmax − one-hot is cheaper than the gradient of the definition, and engines compute it beside the loss
    const [, logits, target] = y.inputs as readonly [Tensor, Tensor, Tensor]
    return [
      undefined,
      () => m(crossEntropyGradient(logits, target, String(op.settings.axis), s), g, s),
      undefined,
    ]
  },
}

/** The axes that a reduction of x to y took away. */
const reducedAway = (x: Tensor, y: Tensor): Names =>
  x.axes.filter((a) => findAxis(y, a.name) === undefined).map((a) => a.name)

/** softmax(logits) − one-hot(target), as a composite. */
const crossEntropyGradient = (logits: Tensor, target: Tensor, axis: string, s: Site): Tensor => {
  const a = findAxis(logits, axis)!
  const p = node({ op: 'softmax', over: axis }, [logits], logits.axes, 'float32', s)
  const places = node({ op: 'iota' }, [], [a], 'int32', s)
  const hit = castTo(transposed(compareOf('equal', target, places, s), logits.names, s), 'float32', s)
  return composite('crossEntropyGradient', { axis }, binaryOf('sub', p, hit, s), [logits, target], s)
}
