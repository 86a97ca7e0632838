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
import { attr } from '../proto/tensorflow.ts'
import type { Ref } from './builder.ts'
import { contractChosen, outerChosen } from './chosen.ts'
import { contract } from './product.ts'
import { aligned, permute, place, repeated, resultOf, typeOf, type Work } from './value.ts'

type Row<K extends OpName> = (w: Work, t: Tensor, op: Extract<Op, { op: K }>, operands: readonly Ref[]) => Ref

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
  w: Work,
  op: string,
  t: Tensor,
  operands: readonly Ref[],
  type: Dtype | undefined,
): Ref => {
  const inputs = operands.map((x, i) => aligned(w, x, t.inputs[i]!.axes, t.axes).name)
  return resultOf(t, w.g.op(op, inputs, type === undefined ? {} : { T: typeOf(type) }))
}

/** A row function along the last axis, for any axis: the axis is brought last and put back. */
const alongLast = (w: Work, t: Tensor, over: string, x: Ref, run: (x: Ref) => string): Ref => {
  const at = place(t.axes, over)
  const last = t.axes.length - 1
  const perm = t.axes.map((_, i) => (i === at ? last : i === last ? at : i))
  const turned = permute(w, x, perm)
  return permute(w, { name: run(turned), dtype: t.dtype, shape: turned.shape }, perm)
}

/** The primitives that need no function around them: `input` and `state` belong to the variant, a composite to its kind. */
export type Tabled = Exclude<OpName, 'input' | 'state' | 'composite' | 'loop' | 'argument'>

const elementwiseRow = (w: Work, t: Tensor, op: Op, operands: readonly Ref[]): Ref =>
  elementwise(
    w,
    elementwiseOp(op)!,
    t,
    operands,
    op.op === 'logic' || (op.op === 'unary' && op.fn === 'not') ? undefined : t.inputs[0]!.dtype,
  )

/** One row a primitive. */
export const operators: { readonly [K in Tabled]: Row<K> } = {
  constant: (w, t, op) => w.g.constant(t.dtype, sizes(t.axes), op.data),
  iota: (w, t) => {
    const size = t.axes[0]!.size
    const data = Int32Array.from({ length: size }, (_, i) => i)
    return w.g.constant('int32', [size], data)
  },
  unary: elementwiseRow,
  binary: elementwiseRow,
  compare: elementwiseRow,
  logic: elementwiseRow,
  select: (w, t, _op, operands) => elementwise(w, 'SelectV2', t, operands, t.dtype),
  cast: (w, t, _op, [x]) => {
    const from = t.inputs[0]!.dtype
    if (from === t.dtype) return x!
    return resultOf(t, w.g.op('Cast', [x!.name], { SrcT: typeOf(from), DstT: typeOf(t.dtype) }))
  },
  stopGradient: (_w, _t, _op, [x]) => x!,
  broadcast: (w, t, _op, [x]) => repeated(w, x!, t.inputs[0]!.axes, t.axes),

  reduce: (w, t, op, [x]) => {
    const places = op.over.map((n) => place(t.inputs[0]!.axes, n))
    const name = w.g.op(op.fn === 'sum' ? 'Sum' : 'Max', [x!.name, w.g.ints(places)], {
      T: typeOf(t.dtype),
      Tidx: attr.type('int32'),
    })
    return resultOf(t, name)
  },
  argmax: (w, t, op, [x]) => {
    const from = t.inputs[0]!
    const name = w.g.op('ArgMax', [x!.name, w.g.int(place(from.axes, op.over))], {
      T: typeOf(from.dtype),
      Tidx: attr.type('int32'),
      output_type: attr.type('int32'),
    })
    return resultOf(t, name)
  },
  softmax: (w, t, op, [x]) =>
    alongLast(w, t, op.over, x!, (y) => w.g.op('Softmax', [y.name], { T: typeOf('float32') })),
  logSoftmax: (w, t, op, [x]) =>
    alongLast(w, t, op.over, x!, (y) => w.g.op('LogSoftmax', [y.name], { T: typeOf('float32') })),

  contract,
  contractChosen,
  outerChosen,

  reshape: (w, t, _op, [x]) => w.g.reshape(x!, sizes(t.axes)),
  transpose: (w, t, _op, [x]) =>
    permute(
      w,
      x!,
      t.axes.map((a) => place(t.inputs[0]!.axes, a.name)),
    ),
  slice: (w, t, op, [x]) => {
    const begin = t.axes.map((a) => (a.name === op.along ? op.start : 0))
    const name = w.g.op('Slice', [x!.name, w.g.ints(begin), w.g.ints(sizes(t.axes))], {
      T: typeOf(t.dtype),
      Index: attr.type('int32'),
    })
    return resultOf(t, name)
  },
  pad: (w, t, op, [x]) => {
    const amounts = t.axes.flatMap((a) => (a.name === op.along ? [op.before, op.after] : [0, 0]))
    const paddings = w.g.constant('int32', [t.axes.length, 2], Int32Array.from(amounts))
    const attrs = { T: typeOf(t.dtype), Tpaddings: attr.type('int32') }
    return resultOf(t, w.g.op('Pad', [x!.name, paddings.name], attrs))
  },
  concat: (w, t, op, operands) => {
    if (operands.length === 1) return operands[0]!
    const parts = operands.map((x) => x.name)
    const name = w.g.op('ConcatV2', [...parts, w.g.int(place(t.axes, op.along))], {
      N: attr.int(parts.length),
      T: typeOf(t.dtype),
      Tidx: attr.type('int32'),
    })
    return resultOf(t, name)
  },

  gather: (w, t, _op, [table, index]) => {
    const name = w.g.op('GatherV2', [table!.name, index!.name, w.g.int(0)], {
      Tparams: typeOf(t.dtype),
      Tindices: attr.type('int32'),
      Taxis: attr.type('int32'),
    })
    return resultOf(t, name)
  },
  scatterAdd: (w, t, _op, [index, rows]) => {
    // it leaves out rows with a negative index; here they are out of range as any other
    const size = w.g.int(t.axes[0]!.size)
    const int = { T: typeOf('int32') }
    const negative = w.g.op('Less', [index!.name, w.g.int(0)], int)
    const places = w.g.op('SelectV2', [negative, size, index!.name], int)
    const name = w.g.op('UnsortedSegmentSum', [rows!.name, places, size], {
      T: typeOf(t.dtype),
      Tindices: attr.type('int32'),
      Tnumsegments: attr.type('int32'),
    })
    return resultOf(t, name)
  },
}
