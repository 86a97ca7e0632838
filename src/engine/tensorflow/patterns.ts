/**
 * Small shapes of graph that TensorFlow has one operation for: a gradient's tail, a sum of squares. A pattern answers the
 * nodes that it is computed from instead, or undefined where the node does not fit.
 */
import type { Tensor } from '../../dsl/index.ts'
import { attr } from '../proto/tensorflow.ts'
import { sideBySide } from '../side-by-side.ts'
import type { Builder, Ref } from './builder.ts'
import { resultOf } from './value.ts'

/** A node seen otherwise: what it is computed from, and how. */
export interface Match {
  readonly operands: readonly Tensor[]
  readonly emit: (g: Builder, operands: readonly Ref[]) => Ref
}

const binary = (t: Tensor, fn: string): readonly [Tensor, Tensor] | undefined =>
  t.op.op === 'binary' && t.op.fn === fn ? (t.inputs as readonly [Tensor, Tensor]) : undefined

const isUnary = (t: Tensor, fn: string): boolean => t.op.op === 'unary' && t.op.fn === fn

const isOne = (t: Tensor): boolean =>
  t.op.op === 'constant' && t.axes.length === 0 && t.op.data[0] === 1 && t.dtype === 'float32'

const squared = (t: Tensor): Tensor | undefined => {
  const m = binary(t, 'mul')
  return m !== undefined && m[0] === m[1] ? m[0] : undefined
}

const sameAxes = (a: Tensor, b: Tensor): boolean =>
  a.axes.length === b.axes.length && a.axes.every((x, i) => x.name === b.axes[i]!.name)

const float = { T: attr.type('float32') }

/** Σ x² over everything, as a gradient's norm takes it: one pass and no squares in memory. */
const sumOfSquares = (t: Tensor): Match | undefined => {
  if (t.op.op !== 'reduce' || t.op.fn !== 'sum' || t.axes.length > 0 || t.dtype !== 'float32')
    return undefined
  const x = squared(t.inputs[0]!)
  if (x === undefined || x.axes.length === 0) return undefined
  return {
    operands: [x],
    emit: (g, [v]) => {
      const half = g.op('L2Loss', [v!.name], float)
      return resultOf(t, g.op('Mul', [half, g.float(2).name], float))
    },
  }
}

/** Whether one operation adds the squares, whatever their number, and well. */
export const isSumOfSquares = (t: Tensor): boolean => sumOfSquares(t) !== undefined

/** The factor that an activation's derivative is, of the activation's own value: y (1 − y), or 1 − y². */
const derivatives = [
  {
    op: 'SigmoidGrad',
    of: (t: Tensor): Tensor | undefined => {
      const m = binary(t, 'mul')
      const rest = m === undefined ? undefined : binary(m[1], 'sub')
      return m && rest && isUnary(m[0], 'sigmoid') && isOne(rest[0]) && rest[1] === m[0] ? m[0] : undefined
    },
  },
  {
    op: 'TanhGrad',
    of: (t: Tensor): Tensor | undefined => {
      const d = binary(t, 'sub')
      const y = d === undefined ? undefined : squared(d[1])
      return d && y && isOne(d[0]) && isUnary(y, 'tanh') ? y : undefined
    },
  },
]

/** g · y (1 − y) of a sigmoid, and g · (1 − y²) of a hyperbolic tangent. */
const activationGradient = (t: Tensor): Match | undefined => {
  const m = binary(t, 'mul')
  if (m === undefined) return undefined
  for (const { op, of } of derivatives)
    for (const [g, d] of [m, [m[1], m[0]] as const]) {
      const y = of(d)
      if (y === undefined || !sameAxes(y, t) || !sameAxes(g, t)) continue
      return {
        operands: [y, g],
        emit: (g, [vy, vg]) => resultOf(t, g.op(op, [vy!.name, vg!.name], float)),
      }
    }
  return undefined
}

/** y (1 − s) of y = x s, s = σ(x), as the slope of x σ(x) has it: x · s (1 − s) in one pass. */
const slopeOfSilu = (t: Tensor): Match | undefined => {
  const m = binary(t, 'mul')
  const rest = m === undefined ? undefined : binary(m[1], 'sub')
  const y = m === undefined ? undefined : binary(m[0], 'mul')
  if (rest === undefined || y === undefined || !isOne(rest[0])) return undefined
  const [x, s] = y
  if (s !== rest[1] || !isUnary(s, 'sigmoid') || s.inputs[0] !== x || !sameAxes(x, t)) return undefined
  return {
    operands: [s, x],
    emit: (g, [vs, vx]) => resultOf(t, g.op('SigmoidGrad', [vs!.name, vx!.name], float)),
  }
}

/** A sum of padded pieces that lie side by side: the pieces joined. */
const joined = (t: Tensor): Match | undefined => {
  const found = sideBySide(t)
  if (found === undefined || found.pieces.length < 2) return undefined
  return {
    operands: found.pieces,
    emit: (g, pieces) => {
      const names = pieces.map((p) => p.name)
      const along = g.int(t.names.indexOf(found.along))
      const kinds = { T: attr.type(t.dtype), Tidx: attr.type('int32') }
      return resultOf(t, g.op('ConcatV2', [...names, along], { N: attr.int(names.length), ...kinds }))
    },
  }
}

/** The first pattern that fits. */
export const match = (t: Tensor): Match | undefined =>
  sumOfSquares(t) ?? activationGradient(t) ?? slopeOfSilu(t) ?? joined(t)
