/**
 * The table of the TensorFlow lowering: one row a primitive.
 *
 * A row gets the node and its operands and answers the node's value. The graph is narrow (`dsl/passes/narrow.ts`): the
 * operands of an elementwise node together have all its axes.
 *
 * Every operation named here is in TensorFlow 2.9 too.
 */
import {
  type BinaryFn,
  type CompareFn,
  type Dtype,
  type LogicFn,
  type Op,
  type OpName,
  sizes,
  type Tensor,
  type UnaryFn,
} from '../../dsl/index.ts'
import type { Tabled } from '../lowering.ts'
import { attr } from '../proto/tensorflow.ts'
import type { Builder, Ref } from './builder.ts'
import { contractChosen, outerChosen } from './chosen.ts'
import { contract } from './product.ts'
import { aligned, permute, place, repeated, resultOf } from './value.ts'

type Row<K extends OpName> = (
  g: Builder,
  t: Tensor,
  op: Extract<Op, { op: K }>,
  operands: readonly Ref[],
) => Ref

const unaryOps: Readonly<Record<UnaryFn, string>> = {
  neg: 'Neg',
  exp: 'Exp',
  log: 'Log',
  sqrt: 'Sqrt',
  rsqrt: 'Rsqrt',
  tanh: 'Tanh',
  erf: 'Erf',
  sigmoid: 'Sigmoid',
  sin: 'Sin',
  cos: 'Cos',
  abs: 'Abs',
  floor: 'Floor',
  not: 'LogicalNot',
}
const binaryOps: Readonly<Record<BinaryFn, string>> = {
  add: 'AddV2',
  sub: 'Sub',
  mul: 'Mul',
  div: 'RealDiv',
  max: 'Maximum',
  min: 'Minimum',
  pow: 'Pow',
}
const compareOps: Readonly<Record<CompareFn, string>> = {
  equal: 'Equal',
  less: 'Less',
  lessEqual: 'LessEqual',
}
const logicOps: Readonly<Record<LogicFn, string>> = { and: 'LogicalAnd', or: 'LogicalOr' }

/** The elementwise function's name in TensorFlow, where the node is one. */
const elementwiseOp = (op: Op): string | undefined => {
  switch (op.op) {
    case 'unary':
      return unaryOps[op.fn]
    case 'binary':
      return binaryOps[op.fn]
    case 'compare':
      return compareOps[op.fn]
    case 'logic':
      return logicOps[op.fn]
    default:
      return undefined
  }
}

/** An elementwise operation on operands that meet by name. */
const elementwise = (
  g: Builder,
  op: string,
  t: Tensor,
  operands: readonly Ref[],
  type: Dtype | undefined,
): Ref => {
  const inputs = operands.map((x, i) => aligned(g, x, t.inputs[i]!.axes, t.axes).name)
  return resultOf(t, g.op(op, inputs, type === undefined ? {} : { T: attr.type(type) }))
}

/** A row function along the last axis, for any axis: the axis is brought last and put back. */
const alongLast = (g: Builder, t: Tensor, over: string, x: Ref, run: (x: Ref) => string): Ref => {
  const at = place(t.axes, over)
  const last = t.axes.length - 1
  const perm = t.axes.map((_, i) => (i === at ? last : i === last ? at : i))
  const turned = permute(g, x, perm)
  return permute(g, { name: run(turned), dtype: t.dtype, shape: turned.shape }, perm)
}

const elementwiseRow = (g: Builder, t: Tensor, op: Op, operands: readonly Ref[]): Ref =>
  elementwise(
    g,
    elementwiseOp(op)!,
    t,
    operands,
    op.op === 'logic' || (op.op === 'unary' && op.fn === 'not') ? undefined : t.inputs[0]!.dtype,
  )

/** One row a primitive. */
export const operators: { readonly [K in Tabled]: Row<K> } = {
  constant: (g, t, op) => g.constant(t.dtype, sizes(t.axes), op.data),
  iota: (g, t) => {
    const size = t.axes[0]!.size
    const data = Int32Array.from({ length: size }, (_, i) => i)
    return g.constant('int32', [size], data)
  },
  unary: elementwiseRow,
  binary: elementwiseRow,
  compare: elementwiseRow,
  logic: elementwiseRow,
  select: (g, t, _op, operands) => elementwise(g, 'SelectV2', t, operands, t.dtype),
  cast: (g, t, _op, [x]) => {
    const from = t.inputs[0]!.dtype
    if (from === t.dtype) return x!
    return resultOf(t, g.op('Cast', [x!.name], { SrcT: attr.type(from), DstT: attr.type(t.dtype) }))
  },
  stopGradient: (_w, _t, _op, [x]) => x!,
  broadcast: (g, t, _op, [x]) => repeated(g, x!, t.inputs[0]!.axes, t.axes),

  reduce: (g, t, op, [x]) => {
    const places = op.over.map((n) => place(t.inputs[0]!.axes, n))
    const name = g.op(op.fn === 'sum' ? 'Sum' : 'Max', [x!.name, g.ints(places)], {
      T: attr.type(t.dtype),
      Tidx: attr.type('int32'),
    })
    return resultOf(t, name)
  },
  argmax: (g, t, op, [x]) => {
    const from = t.inputs[0]!
    const name = g.op('ArgMax', [x!.name, g.int(place(from.axes, op.over))], {
      T: attr.type(from.dtype),
      Tidx: attr.type('int32'),
      output_type: attr.type('int32'),
    })
    return resultOf(t, name)
  },
  softmax: (g, t, op, [x]) =>
    alongLast(g, t, op.over, x!, (y) => g.op('Softmax', [y.name], { T: attr.type('float32') })),
  logSoftmax: (g, t, op, [x]) =>
    alongLast(g, t, op.over, x!, (y) => g.op('LogSoftmax', [y.name], { T: attr.type('float32') })),

  contract,
  contractChosen,
  outerChosen,

  reshape: (g, t, _op, [x]) => g.reshape(x!, sizes(t.axes)),
  transpose: (g, t, _op, [x]) =>
    permute(
      g,
      x!,
      t.axes.map((a) => place(t.inputs[0]!.axes, a.name)),
    ),
  slice: (g, t, op, [x]) => {
    const begin = t.axes.map((a) => (a.name === op.along ? op.start : 0))
    const name = g.op('Slice', [x!.name, g.ints(begin), g.ints(sizes(t.axes))], {
      T: attr.type(t.dtype),
      Index: attr.type('int32'),
    })
    return resultOf(t, name)
  },
  pad: (g, t, op, [x]) => {
    const amounts = t.axes.flatMap((a) => (a.name === op.along ? [op.before, op.after] : [0, 0]))
    const paddings = g.constant('int32', [t.axes.length, 2], Int32Array.from(amounts))
    const attrs = { T: attr.type(t.dtype), Tpaddings: attr.type('int32') }
    return resultOf(t, g.op('Pad', [x!.name, paddings.name], attrs))
  },
  concat: (g, t, op, operands) => {
    if (operands.length === 1) return operands[0]!
    const parts = operands.map((x) => x.name)
    const name = g.op('ConcatV2', [...parts, g.int(place(t.axes, op.along))], {
      N: attr.int(parts.length),
      T: attr.type(t.dtype),
      Tidx: attr.type('int32'),
    })
    return resultOf(t, name)
  },

  gather: (g, t, _op, [table, index]) => {
    const name = g.op('GatherV2', [table!.name, index!.name, g.int(0)], {
      Tparams: attr.type(t.dtype),
      Tindices: attr.type('int32'),
      Taxis: attr.type('int32'),
    })
    return resultOf(t, name)
  },
  scatterAdd: (g, t, _op, [index, rows]) => {
    // it leaves out rows with a negative index; here they are out of range as any other
    const size = g.int(t.axes[0]!.size)
    const int = { T: attr.type('int32') }
    const negative = g.op('Less', [index!.name, g.int(0)], int)
    const places = g.op('SelectV2', [negative, size, index!.name], int)
    const name = g.op('UnsortedSegmentSum', [rows!.name, places, size], {
      T: attr.type(t.dtype),
      Tindices: attr.type('int32'),
      Tnumsegments: attr.type('int32'),
    })
    return resultOf(t, name)
  },
}
