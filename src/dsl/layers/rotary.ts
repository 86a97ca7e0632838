/** Rotary positions (Su et al. 2021), rotate-half form. */
import { type Axis, axis } from '../axis.ts'
import { composite } from '../composite.ts'
import { add, cast, cos, mul, neg, sin } from '../elementwise.ts'
import { GraphError } from '../error.ts'
import { findAxis, type Tensor } from '../graph.ts'
import { constant } from '../leaves.ts'
import { concat, renamed, slice } from '../shape.ts'
import { siteOf } from '../site.ts'

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
  const half = findAxis(x, headDim)!.size / 2
  const rename = (t: Tensor): Tensor =>
    token === undefined ? t : renamed(t, { [token.from]: token.to }, site)
  const [c, s] = [rename(r.cos), rename(r.sin)]
  const turned = concat([neg(slice(x, headDim, half, half)), slice(x, headDim, 0, half)], headDim)
  return composite('rotary', { axis: headDim }, add(mul(x, c), mul(turned, s)), [x, c, s], site)
}
