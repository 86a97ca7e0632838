/** Values of a program under a node's axes, and what rows of the lowering share. */
import { type Axis, sizes, type Tensor } from '../../dsl/index.ts'
import type { Precision } from '../session.ts'
import type { Builder, Element, Value } from './builder.ts'
import * as hlo from './hlo.ts'

/** `auto`: by a call of a library where there is one for these shapes; `definition`: as it is written. */
export type Attention = 'auto' | 'definition'

/** A forward call, as its backward needs it. */
export interface Attended {
  readonly q: Value
  readonly k: Value
  readonly v: Value
  readonly shape: AttendedShape
  /** 0 where a token may attend, far below anything else: `[batch, 1, token, key]`. */
  readonly bias: Value | undefined
  /** Whether a token may attend to anything, repeated over the result. */
  readonly sees: Value | undefined
  readonly out: Value
  /** One float32 a row of scores: `[batch, head, token]`. */
  readonly statistics: Value
  readonly causal: boolean
  readonly scale: number
}

/** Sizes of an attention. */
export interface AttendedShape {
  readonly batch: number
  readonly token: number
  readonly key: number
  readonly heads: number
  readonly kvHeads: number
  readonly dim: number
}

/** What a row works with. */
export interface Work {
  readonly g: Builder
  /** How products are computed. */
  readonly precision: Precision
  /** `cuda`, `cpu` and so on. */
  readonly platform: string
  /** Whether attention may run as a call of a library. */
  readonly attention: Attention
  /** The attentions that run so, for their backward. */
  readonly attended: Map<Tensor, Attended>
  /** In which type a node's value is kept. */
  readonly keptIn: (t: Tensor) => Element
  /** Whether one device computes all. */
  readonly alone: boolean
  /** A value of these axes, of which some are dealt out over devices where they are told to be. */
  readonly dealt: (x: Value, axes: readonly Axis[]) => Value
}

/** Where the axis of that name stands, or -1. */
export const place = (axes: readonly Axis[], name: string): number => axes.findIndex((a) => a.name === name)

/** Where each axis stands. */
export const placesOf = (axes: readonly Axis[], names: readonly string[]): readonly number[] =>
  names.map((n) => place(axes, n))

/** A value under these axes repeated along those that it lacks; its axes are a subsequence. */
export const repeated = (w: Work, x: Value, from: readonly Axis[], to: readonly Axis[]): Value =>
  hlo.broadcast(
    w.g,
    x,
    sizes(to),
    placesOf(
      to,
      from.map((a) => a.name),
    ),
  )

/** A value as float32, where it is kept narrower. */
export const exact = (w: Work, x: Value): Value =>
  x.type === 'bfloat16' ? hlo.convert(w.g, x, 'float32') : x

/** −∞ in a row of nothing else leaves NaN behind, as it does by the definition. */
export const shifted = (w: Work, x: Value, at: number): { readonly top: Value; readonly z: Value } => {
  const top = hlo.reduce(w.g, 'max', x, [at])
  return { top, z: hlo.pointwise(w.g, 'stablehlo.subtract', x, along(w, top, x, at)) }
}

/** A value that lacks one axis of another, repeated along it. */
export const along = (w: Work, x: Value, like: Value, at: number): Value =>
  hlo.broadcast(
    w.g,
    x,
    like.shape,
    like.shape.map((_, i) => i).filter((i) => i !== at),
  )

/** ln Σ exp along one axis, which the result lacks. */
export const logSumExp = (w: Work, x: Value, at: number): Value => {
  const { top, z } = shifted(w, x, at)
  const sum = hlo.reduce(w.g, 'sum', hlo.pointwise(w.g, 'stablehlo.exponential', z), [at])
  return hlo.pointwise(w.g, 'stablehlo.add', hlo.pointwise(w.g, 'stablehlo.log', sum), top)
}

/**
 * A value as products take it. XLA multiplies no bfloat16 on a processor: there the numbers are rounded alike and stay
 * float32.
 */
export const factor = (w: Work, x: Value): Value => {
  if (w.precision !== 'bfloat16') return exact(w, x)
  return w.platform === 'cpu' ? hlo.rounded(w.g, x) : hlo.convert(w.g, x, 'bfloat16')
}

/** The product of two such values, as the node keeps it. */
export const product = (w: Work, t: Tensor, a: Value, b: Value, meeting: hlo.Meeting): Value => {
  const kept = w.keptIn(t)
  const type = w.platform === 'cpu' ? 'float32' : kept
  const made = hlo.dot(w.g, a, b, meeting, type, dotPrecision(w))
  return type === kept ? made : hlo.rounded(w.g, made)
}

/** How exactly they are computed. */
const dotPrecision = (w: Work): hlo.ProductPrecision => (w.precision === 'float32' ? 'HIGHEST' : 'DEFAULT')
