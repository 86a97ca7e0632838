/** Tensors of the TensorFlow graph under a node's axes, and how their axes change. */
import { type Axis, type Dtype, elements, sizes, type Tensor } from '../../dsl/index.ts'
import { attr } from '../proto/tensorflow.ts'
import { type Builder, type Ref, tfTypeOf } from './builder.ts'

/** What a row works with. */
export interface Work {
  readonly g: Builder
}

/** The attribute that names a dtype. */
export const typeOf = (dtype: Dtype) => attr.type(tfTypeOf(dtype))

/** The value of a node, from the name of the operation that computes it. */
export const resultOf = (t: Tensor, name: string): Ref => ({ name, dtype: t.dtype, shape: sizes(t.axes) })

/** Axes of size 1 where `to` has one that `from` lacks, except in front: TensorFlow aligns shapes at their end. */
export const aligned = (w: Work, x: Ref, from: readonly Axis[], to: readonly Axis[]): Ref => {
  const shape = to.map((a) => from.find((b) => b.name === a.name)?.size ?? 1)
  const first = to.findIndex((a) => place(from, a.name) >= 0)
  return w.g.reshape(x, first < 0 ? [] : shape.slice(first))
}

/** A value under these axes repeated along those that it lacks. */
export const repeated = (w: Work, x: Ref, from: readonly Axis[], to: readonly Axis[]): Ref => {
  if (elements(from) === elements(to)) return w.g.reshape(x, sizes(to))
  const name = w.g.op('BroadcastTo', [aligned(w, x, from, to).name, w.g.ints(sizes(to))], {
    T: typeOf(x.dtype),
    Tidx: attr.type('int32'),
  })
  return { name, dtype: x.dtype, shape: sizes(to) }
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
