/**
 * The table of the lowering to StableHLO: one row a primitive.
 *
 * A row gets the node and its operands and answers the node's value. The graph is narrow (`dsl/passes/narrow.ts`): the
 * operands of an elementwise node together have all its axes.
 */
import {
  type BinaryFn,
  type CompareFn,
  elements,
  type LogicFn,
  type Op,
  type OpName,
  sizes,
  type Tensor,
  type UnaryFn,
} from '../../dsl/index.ts'
import type { Tabled } from '../lowering.ts'
import type { Value } from './builder.ts'
import { contractChosen, outerChosen } from './chosen.ts'
import * as hlo from './hlo.ts'
import { along, exact, factor, place, placesOf, product, repeated, shifted, type Work } from './value.ts'

type Row<K extends OpName> = (
  w: Work,
  t: Tensor,
  op: Extract<Op, { op: K }>,
  operands: readonly Value[],
) => Value

const unaryOps: Readonly<Record<UnaryFn, string>> = {
  neg: 'stablehlo.negate',
  exp: 'stablehlo.exponential',
  log: 'stablehlo.log',
  sqrt: 'stablehlo.sqrt',
  rsqrt: 'stablehlo.rsqrt',
  tanh: 'stablehlo.tanh',
  erf: 'chlo.erf',
  sigmoid: 'stablehlo.logistic',
  sin: 'stablehlo.sine',
  cos: 'stablehlo.cosine',
  abs: 'stablehlo.abs',
  floor: 'stablehlo.floor',
  not: 'stablehlo.not',
}
const binaryOps: Readonly<Record<BinaryFn, string>> = {
  add: 'stablehlo.add',
  sub: 'stablehlo.subtract',
  mul: 'stablehlo.multiply',
  div: 'stablehlo.divide',
  max: 'stablehlo.maximum',
  min: 'stablehlo.minimum',
  pow: 'stablehlo.power',
}
const compareOps: Readonly<Record<CompareFn, string>> = { equal: 'EQ', less: 'LT', lessEqual: 'LE' }
const logicOps: Readonly<Record<LogicFn, string>> = { and: 'stablehlo.and', or: 'stablehlo.or' }

/** The value of a node's operand in the node's axes and in the type that float32 is computed in. */
const aligned = (w: Work, t: Tensor, operands: readonly Value[]): readonly Value[] =>
  operands.map((x, i) => repeated(w, exact(w, x), t.inputs[i]!.axes, t.axes))

const contract: Row<'contract'> = (w, t, op, [x, y]) => {
  const [a, b] = t.inputs as readonly [Tensor, Tensor]
  const over = op.over
  const batch = a.names.filter((n) => !over.includes(n) && place(b.axes, n) >= 0)
  // what is multiplied by literals is added up, not rounded: sums of probabilities by which tokens are drawn
  const adds = t.inputs.some((i) => i.op.op === 'constant')
  const how: Work = adds ? { ...w, precision: 'float32', keptIn: (node) => node.dtype } : w
  const made = product(how, t, factor(how, x!), factor(how, y!), {
    batch: [placesOf(a.axes, batch), placesOf(b.axes, batch)],
    over: [placesOf(a.axes, over), placesOf(b.axes, over)],
  })
  const rest = (from: Tensor): readonly string[] =>
    from.names.filter((n) => !over.includes(n) && !batch.includes(n))
  const produced = [...batch, ...rest(a), ...rest(b)]
  return hlo.transpose(
    w.g,
    made,
    t.names.map((n) => produced.indexOf(n)),
  )
}

/**
 * From so many numbers on a processor adds them up in float64: XLA takes them one after the other there, and float32 would
 * lose what is small. A GPU adds them up as a tree.
 */
const many = 512

/** One row a primitive. */
export const operators: { readonly [K in Tabled]: Row<K> } = {
  constant: (w, t, op) => w.g.constant(t.dtype, sizes(t.axes), op.data),
  iota: (w, t) => hlo.iota(w.g, sizes(t.axes), 0),
  unary: (w, t, op, operands) => hlo.pointwise(w.g, unaryOps[op.fn], ...aligned(w, t, operands)),
  binary: (w, t, op, operands) => hlo.pointwise(w.g, binaryOps[op.fn], ...aligned(w, t, operands)),
  compare: (w, t, op, operands) => {
    const [a, b] = aligned(w, t, operands)
    return hlo.compare(w.g, compareOps[op.fn], a!, b!)
  },
  logic: (w, t, op, operands) => hlo.pointwise(w.g, logicOps[op.fn], ...aligned(w, t, operands)),
  select: (w, t, _op, operands) => {
    const [condition, yes, no] = aligned(w, t, operands)
    return hlo.choose(w.g, condition!, yes!, no!)
  },
  cast: (w, t, _op, [x]) => hlo.convert(w.g, exact(w, x!), t.dtype),
  stopGradient: (_w, _t, _op, [x]) => x!,

  reduce: (w, t, op, [x]) => {
    const from = t.inputs[0]!
    const over = placesOf(from.axes, op.over)
    const count = elements(from.axes) / elements(t.axes)
    if (op.fn === 'max' || t.dtype !== 'float32' || w.platform !== 'cpu' || count < many)
      return hlo.reduce(w.g, op.fn, exact(w, x!), over)
    const sum = hlo.reduce(w.g, 'sum', hlo.convert(w.g, exact(w, x!), 'float64'), over)
    return hlo.convert(w.g, sum, 'float32')
  },
  argmax: (w, t, op, [x]) => hlo.argmax(w.g, exact(w, x!), place(t.inputs[0]!.axes, op.over)),
  softmax: (w, t, op, [x]) => {
    const at = place(t.axes, op.over)
    const from = exact(w, x!)
    const e = hlo.pointwise(w.g, 'stablehlo.exponential', shifted(w, from, at).z)
    return hlo.pointwise(w.g, 'stablehlo.divide', e, along(w, hlo.reduce(w.g, 'sum', e, [at]), from, at))
  },
  logSoftmax: (w, t, op, [x]) => {
    const at = place(t.axes, op.over)
    const { z } = shifted(w, exact(w, x!), at)
    const sum = hlo.reduce(w.g, 'sum', hlo.pointwise(w.g, 'stablehlo.exponential', z), [at])
    const ln = hlo.pointwise(w.g, 'stablehlo.log', sum)
    return hlo.pointwise(w.g, 'stablehlo.subtract', z, along(w, ln, z, at))
  },

  contract,
  contractChosen,
  outerChosen,

  reshape: (w, t, _op, [x]) => hlo.reshape(w.g, x!, sizes(t.axes)),
  transpose: (w, t, _op, [x]) => hlo.transpose(w.g, x!, placesOf(t.inputs[0]!.axes, t.names)),
  broadcast: (w, t, _op, [x]) => repeated(w, x!, t.inputs[0]!.axes, t.axes),
  slice: (w, t, op, [x]) =>
    hlo.slice(
      w.g,
      x!,
      t.axes.map((a) => (a.name === op.along ? op.start : 0)),
      sizes(t.axes),
    ),
  pad: (w, t, op, [x]) =>
    hlo.pad(
      w.g,
      x!,
      t.axes.map((a) => (a.name === op.along ? op.before : 0)),
      t.axes.map((a) => (a.name === op.along ? op.after : 0)),
    ),
  concat: (w, t, op, operands) => {
    const parts = operands.some((x) => x.type === 'float32') ? operands.map((x) => exact(w, x)) : operands
    return hlo.concatenate(w.g, parts, place(t.axes, op.along))
  },

  gather: (w, _t, _op, [table, index]) => hlo.gatherRows(w.g, table!, index!),
  scatterAdd: (w, t, _op, [index, rows]) => hlo.scatterRows(w.g, t.axes[0]!.size, index!, exact(w, rows!)),
}
