/** Tensors of the TensorFlow graph under a node's axes, and how their axes change. */
import { type Axis, elements, sizes, type Tensor } from '../../dsl/index.ts'
import { attr } from '../proto/tensorflow.ts'
import type { Builder, Ref } from './builder.ts'

/** The value of a node, from the name of the operation that computes it. */
export const resultOf = (t: Tensor, name: string): Ref => ({ name, dtype: t.dtype, shape: sizes(t.axes) })

/** Axes of size 1 where `to` has one that `from` lacks, except in front: TensorFlow aligns shapes at their end. */
export const aligned = (g: Builder, x: Ref, from: readonly Axis[], to: readonly Axis[]): Ref => {
  const shape = to.map((a) => from.find((b) => b.name === a.name)?.size ?? 1)
  const first = to.findIndex((a) => place(from, a.name) >= 0)
  return g.reshape(x, first < 0 ? [] : shape.slice(first))
}

/** A value under these axes repeated along those that it lacks. */
export const repeated = (g: Builder, x: Ref, from: readonly Axis[], to: readonly Axis[]): Ref => {
  if (elements(from) === elements(to)) return g.reshape(x, sizes(to))
  const name = g.op('BroadcastTo', [aligned(g, x, from, to).name, g.ints(sizes(to))], {
    T: attr.type(x.dtype),
    Tidx: attr.type('int32'),
  })
  return { name, dtype: x.dtype, shape: sizes(to) }
}

/** The axes in another order. Where only axes of size 1 move, a reshape does. */
export const permute = (g: Builder, x: Ref, perm: readonly number[]): Ref => {
  const shape = perm.map((p) => x.shape[p]!)
  const moving = perm.filter((p) => x.shape[p] !== 1)
  if (moving.every((p, i) => i === 0 || moving[i - 1]! < p)) return g.reshape(x, shape)
  const name = g.op('Transpose', [x.name, g.ints(perm)], {
    T: attr.type(x.dtype),
    Tperm: attr.type('int32'),
  })
  return { name, dtype: x.dtype, shape }
}

/** Where the axis of that name stands, or -1. */
export const place = (axes: readonly Axis[], name: string): number => axes.findIndex((a) => a.name === name)
