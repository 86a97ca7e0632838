/**
 * The table of the TensorFlow lowering: one row a primitive.
 *
 * A row gets the node and its operands as {@link Value}s and answers the node's value. A value may be *narrow*: some of
 * the node's axes missing because all elements along them are equal. Elementwise rows keep operands narrow, so that a
 * broadcast costs nothing until somebody needs the whole; `whole` widens where a row does.
 *
 * Every operation named here is in TensorFlow 2.9 too.
 */
import { type Axis, elements, sizes } from '../../dsl/axis.ts'
import type { BinaryFn, CompareFn, Dtype, LogicFn, Op, OpName, Tensor, UnaryFn } from '../../dsl/graph.ts'
import { attr } from '../proto/tensorflow.ts'
import type { Ref } from './builder.ts'
import { contract } from './product.ts'
import { aligned, permute, place, typeOf, type Value, valueAt, type Work, whole } from './value.ts'

type Row<K extends OpName> = (
  w: Work,
  t: Tensor,
  op: Extract<Op, { op: K }>,
  operands: readonly Value[],
) => Value

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

/** The axes of the node that at least one operand has. */
const spanned = (t: Tensor, operands: readonly Value[]): readonly Axis[] =>
  t.axes.filter((a) => operands.some((v) => v.axes.some((x) => x.name === a.name)))

/** An elementwise operation on operands that meet by name. */
const elementwise = (
  w: Work,
  op: string,
  t: Tensor,
  operands: readonly Value[],
  type: Dtype | undefined,
): Value => {
  const axes = spanned(t, operands)
  const inputs = operands.map((v) => aligned(w, v, axes).name)
  return valueAt(w.g.op(op, inputs, type === undefined ? {} : { T: typeOf(type) }), t.dtype, axes)
}

/** A row function along the last axis, for any axis: the axis is brought last and put back. */
const alongLast = (w: Work, t: Tensor, over: string, x: Ref, run: (x: Ref) => string): Value => {
  const at = place(t.axes, over)
  const last = t.axes.length - 1
  const perm = t.axes.map((_, i) => (i === at ? last : i === last ? at : i))
  const turned = permute(w, x, perm)
  const y: Ref = { name: run(turned), dtype: t.dtype, shape: turned.shape }
  return { ref: permute(w, y, perm), axes: t.axes }
}

const reduce: Row<'reduce'> = (w, t, op, [v]) => {
  const x = t.inputs[0]!
  const missing = x.axes.filter((a) => op.over.includes(a.name) && place(v!.axes, a.name) < 0)
  const present = v!.axes.flatMap((a, i) => (op.over.includes(a.name) ? [i] : []))
  const axes = v!.axes.filter((a) => !op.over.includes(a.name))
  const reduced =
    present.length === 0
      ? v!
      : valueAt(
          w.g.op(op.fn === 'sum' ? 'Sum' : 'Max', [v!.ref.name, w.g.ints(present)], {
            T: typeOf(t.dtype),
            Tidx: attr.type('int32'),
          }),
          t.dtype,
          axes,
        )
  const times = elements(missing)
  if (op.fn === 'max' || times === 1) return reduced
  const factor = w.g.constant(
    t.dtype,
    [],
    t.dtype === 'int32' ? Int32Array.of(times) : Float32Array.of(times),
  )
  return valueAt(w.g.op('Mul', [reduced.ref.name, factor.name], { T: typeOf(t.dtype) }), t.dtype, axes)
}

/** The primitives that need no function around them: `input` and `state` belong to the variant, a composite to its kind. */
export type Tabled = Exclude<OpName, 'input' | 'state' | 'composite'>

const elementwiseRow = (w: Work, t: Tensor, op: Op, operands: readonly Value[]): Value =>
  elementwise(
    w,
    elementwiseOp(op)!,
    t,
    operands,
    op.op === 'logic' || (op.op === 'unary' && op.fn === 'not') ? undefined : t.inputs[0]!.dtype,
  )

/** One row a primitive. */
export const operators: { readonly [K in Tabled]: Row<K> } = {
  constant: (w, t, op) => ({ ref: w.g.constant(t.dtype, sizes(t.axes), op.data), axes: t.axes }),
  iota: (w, t) => {
    const size = t.axes[0]!.size
    return {
      ref: w.g.constant(
        'int32',
        [size],
        Int32Array.from({ length: size }, (_, i) => i),
      ),
      axes: t.axes,
    }
  },
  unary: elementwiseRow,
  binary: elementwiseRow,
  compare: elementwiseRow,
  logic: elementwiseRow,
  select: (w, t, _op, operands) => elementwise(w, 'SelectV2', t, operands, t.dtype),
  cast: (w, t, _op, [v]) => {
    const from = t.inputs[0]!.dtype
    if (from === t.dtype) return v!
    const attrs = { SrcT: typeOf(from), DstT: typeOf(t.dtype) }
    return valueAt(w.g.op('Cast', [v!.ref.name], attrs), t.dtype, v!.axes)
  },
  stopGradient: (_w, _t, _op, [v]) => v!,
  broadcast: (_w, t, _op, [v]) => ({ ref: v!.ref, axes: t.axes.filter((a) => place(v!.axes, a.name) >= 0) }),

  reduce,
  argmax: (w, t, op, [v]) => {
    const x = t.inputs[0]!
    const name = w.g.op('ArgMax', [whole(w, v!, x.axes).name, w.g.int(place(x.axes, op.over))], {
      T: typeOf(x.dtype),
      Tidx: attr.type('int32'),
      output_type: attr.type('int32'),
    })
    return valueAt(name, t.dtype, t.axes)
  },
  softmax: (w, t, op, [v]) =>
    alongLast(w, t, op.over, whole(w, v!, t.axes), (x) =>
      w.g.op('Softmax', [x.name], { T: typeOf('float32') }),
    ),
  logSoftmax: (w, t, op, [v]) =>
    alongLast(w, t, op.over, whole(w, v!, t.axes), (x) =>
      w.g.op('LogSoftmax', [x.name], { T: typeOf('float32') }),
    ),

  contract,

  reshape: (w, t, _op, [v]) => ({
    ref: w.g.reshape(whole(w, v!, t.inputs[0]!.axes), sizes(t.axes)),
    axes: t.axes,
  }),
  transpose: (w, t, _op, [v]) => {
    const axes = t.axes.filter((a) => place(v!.axes, a.name) >= 0)
    return {
      ref: permute(
        w,
        v!.ref,
        axes.map((a) => place(v!.axes, a.name)),
      ),
      axes,
    }
  },
  slice: (w, t, op, [v]) => {
    if (place(v!.axes, op.along) < 0) return { ref: v!.ref, axes: v!.axes }
    const axes = v!.axes.map((a) => t.axes.find((x) => x.name === a.name)!)
    const begin = axes.map((a) => (a.name === op.along ? op.start : 0))
    const name = w.g.op('Slice', [v!.ref.name, w.g.ints(begin), w.g.ints(sizes(axes))], {
      T: typeOf(t.dtype),
      Index: attr.type('int32'),
    })
    return valueAt(name, t.dtype, axes)
  },
  pad: (w, t, op, [v]) => {
    const x = whole(w, v!, t.inputs[0]!.axes)
    const amounts = t.axes.flatMap((a) => (a.name === op.along ? [op.before, op.after] : [0, 0]))
    const paddings = w.g.constant('int32', [t.axes.length, 2], Int32Array.from(amounts))
    const name = w.g.op('Pad', [x.name, paddings.name], { T: typeOf(t.dtype), Tpaddings: attr.type('int32') })
    return valueAt(name, t.dtype, t.axes)
  },
  concat: (w, t, op, operands) => {
    if (operands.length === 1) return operands[0]!
    const parts = operands.map((v, i) => whole(w, v, t.inputs[i]!.axes).name)
    const name = w.g.op('ConcatV2', [...parts, w.g.int(place(t.axes, op.along))], {
      N: attr.int(parts.length),
      T: typeOf(t.dtype),
      Tidx: attr.type('int32'),
    })
    return valueAt(name, t.dtype, t.axes)
  },

  gather: (w, t, _op, [table, index]) => {
    const [params, ids] = [whole(w, table!, t.inputs[0]!.axes), whole(w, index!, t.inputs[1]!.axes)]
    const name = w.g.op('GatherV2', [params.name, ids.name, w.g.int(0)], {
      Tparams: typeOf(t.dtype),
      Tindices: attr.type('int32'),
      Taxis: attr.type('int32'),
    })
    return valueAt(name, t.dtype, t.axes)
  },
  scatterAdd: (w, t, _op, [index, rows]) => {
    const [ids, data] = [whole(w, index!, t.inputs[0]!.axes), whole(w, rows!, t.inputs[1]!.axes)]
    const name = w.g.op('UnsortedSegmentSum', [data.name, ids.name, w.g.int(t.axes[0]!.size)], {
      T: typeOf(t.dtype),
      Tindices: attr.type('int32'),
      Tnumsegments: attr.type('int32'),
    })
    return valueAt(name, t.dtype, t.axes)
  },
}
