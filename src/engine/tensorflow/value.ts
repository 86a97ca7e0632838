/** Values of the lowering: tensors of the TensorFlow graph that know their axes, and how their axes change. */
import { type Axis, sizes } from '../../dsl/axis.ts'
import type { Dtype } from '../../dsl/graph.ts'
import { attr } from '../proto/tensorflow.ts'
import { type Builder, type Ref, tfTypeOf } from './builder.ts'

/** A tensor of the TensorFlow graph with the axes that it really has, outermost first. */
export interface Value {
  readonly ref: Ref
  readonly axes: readonly Axis[]
}

/** What a row works with. */
export interface Work {
  readonly g: Builder
}

/** The attribute that names a dtype. */
export const typeOf = (dtype: Dtype) => attr.type(tfTypeOf(dtype))

/** A value from an operation's name; `axes` are those that it has. */
export const valueAt = (name: string, dtype: Dtype, axes: readonly Axis[]): Value => ({
  ref: { name, dtype, shape: sizes(axes) },
  axes,
})

/** Axes of size 1 where `axes` has one that the value lacks, except in front: TensorFlow aligns shapes at their end. */
export const aligned = (w: Work, v: Value, axes: readonly Axis[]): Ref => {
  const shape = axes.map((a) => v.axes.find((x) => x.name === a.name)?.size ?? 1)
  const first = axes.findIndex((a) => v.axes.some((x) => x.name === a.name))
  return w.g.reshape(v.ref, first < 0 ? [] : shape.slice(first))
}

/** All axes of the node: a narrow value is repeated. */
export const whole = (w: Work, v: Value, axes: readonly Axis[]): Ref => {
  if (v.axes.length === axes.length) return v.ref
  const source = aligned(w, v, axes)
  const name = w.g.op('BroadcastTo', [source.name, w.g.ints(sizes(axes))], {
    T: typeOf(v.ref.dtype),
    Tidx: attr.type('int32'),
  })
  return { name, dtype: v.ref.dtype, shape: sizes(axes) }
}

/** The axes in another order. Where only axes of size 1 move, a reshape does. */
export const permute = (w: Work, x: Ref, perm: readonly number[]): Ref => {
  const shape = perm.map((p) => x.shape[p]!)
  const moving = perm.filter((p) => x.shape[p] !== 1)
  if (moving.every((p, i) => i === 0 || moving[i - 1]! < p)) return w.g.reshape(x, shape)
  const name = w.g.op('Transpose', [x.name, w.g.ints(perm)], {
    T: typeOf(x.dtype),
    Tperm: attr.type('int32'),
  })
  return { name, dtype: x.dtype, shape }
}

/** Where the axis of that name stands, or -1. */
export const place = (axes: readonly Axis[], name: string): number => axes.findIndex((a) => a.name === name)
