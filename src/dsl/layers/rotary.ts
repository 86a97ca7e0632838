/** Rotary positions (Su et al. 2021), rotate-half form. */
import { type Axis, axis } from '../axis.ts'
import { composite } from '../composite.ts'
import { cast, cos, mul, sin } from '../elementwise.ts'
import { GraphError } from '../error.ts'
import { findAxis, node, type Tensor } from '../graph.ts'
import { constant } from '../leaves.ts'
import { notation } from '../notation.ts'
import { concat, renamed, sliceOf } from '../shape.ts'
import { type Site, siteOf } from '../site.ts'

/** Cosines and sines of a set of positions: axes of the positions, then the head dimension. */
export interface Rotations {
  readonly cos: Tensor
  readonly sin: Tensor
}

/**
 * The angles of arbitrary positions: position · θ^(−2i/d), each frequency twice (halves side by side).
 *
 * @param positions int32, any axes: `[batch, token]`; they may restart inside a pack
 * @param headDim the rotated axis, of even size d
 * @param theta 1e6 in Qwen3
 * @throws GraphError `BadShape` where the head dimension is odd
 * @category layers
 */
export const rotations = (positions: Tensor, headDim: Axis, theta: number): Rotations => {
  const site = siteOf(rotations)
  const half = headDim.size / 2
  if (!Number.isInteger(half))
    throw new GraphError(
      'BadShape',
      `rotary positions need an even '${headDim.name}', not ${headDim.size}`,
      site,
      [headDim],
    )
  const frequency = axis(headDim.name, half)
  const inverse = Float32Array.from({ length: half }, (_, i) => theta ** (-(2 * i) / headDim.size))
  const angles = mul(cast(positions, 'float32'), constant(inverse, [frequency]))
  const both = concat([angles, angles], headDim.name)
  return { cos: cos(both), sin: sin(both) }
}

/**
 * Turns each pair (i, i + d/2) of the head dimension: x · cos + rotateHalf(x) · sin, where rotateHalf(x) = (−x₂, x₁).
 *
 * @param token the name that the rotations' token axis takes, where x calls its own otherwise (`key`)
 * @category layers
 */
export const rotate = (
  x: Tensor,
  r: Rotations,
  headDim: string,
  token?: { readonly from: string; readonly to: string },
): Tensor => {
  const site = siteOf(rotate)
  const rename = (t: Tensor): Tensor =>
    token === undefined ? t : renamed(t, { [token.from]: token.to }, site)
  return rotateOf(x, rename(r.cos), rename(r.sin), headDim, site)
}

/** {@link rotate} with this site. */
export const rotateOf = (x: Tensor, cos: Tensor, sin: Tensor, headDim: string, site: Site): Tensor => {
  const { add, mul, neg } = notation(site)
  const half = findAxis(x, headDim)!.size / 2
  const parts = [neg(sliceOf(x, headDim, half, half, site)), sliceOf(x, headDim, 0, half, site)]
  const turned = node({ op: 'concat', along: headDim }, parts, x.axes, x.dtype, site)
  return composite('rotary', { axis: headDim }, add(mul(x, cos), mul(turned, sin)), [x, cos, sin], site)
}

/** Whether the two halves of the last axis are the same: by construction, or as literals. */
export const halvesAgree = (t: Tensor): boolean => {
  const { op } = t
  if (op.op === 'unary' || op.op === 'stopGradient') return halvesAgree(t.inputs[0]!)
  if (op.op === 'reshape') {
    const from = t.inputs[0]!
    return from.axes.at(-1)?.size === t.axes.at(-1)?.size && halvesAgree(from)
  }
  if (op.op === 'concat')
    return op.along === t.names.at(-1) && t.inputs.length === 2 && t.inputs[0] === t.inputs[1]
  if (op.op !== 'constant') return false
  const size = t.axes.at(-1)!.size
  return op.data.every((x, i) => i % size < size / 2 || x === op.data[i - size / 2])
}

const halves = new WeakMap<Tensor, Tensor>()

/** The first half of the last axis, where {@link halvesAgree}: the other half is not computed for it. */
export const firstHalf = (t: Tensor): Tensor => {
  const had = halves.get(t)
  if (had !== undefined) return had
  const { op, site } = t
  const last = t.axes.at(-1)!
  const size = last.size / 2
  const axes = [...t.axes.slice(0, -1), axis(last.name, size)]
  const half =
    op.op === 'concat'
      ? t.inputs[0]!
      : op.op === 'constant'
        ? node({ ...op, data: op.data.filter((_, i) => i % last.size < size) }, [], axes, t.dtype, site)
        : node(op, [firstHalf(t.inputs[0]!)], axes, t.dtype, site)
  halves.set(t, half)
  return half
}
