/**
 * Images of any size (SAIL-VL2 §2.1, SAILViT-AnyRes): the patches of all images of a batch lie in one packed row, and each
 * patch carries its place. The paper's text resizes the learned positions to the image's grid, its figure 2 has rotary
 * positions in two dimensions; either is an option, and both at once.
 *
 * Shapes: places int32 `[patch, place]`, one row a patch: image, row, column, rows, columns.
 *
 * @since 0.1.0
 */
import {
  type Axis,
  add,
  and,
  axis,
  cast,
  concat,
  constant,
  contract,
  cos,
  div,
  equal,
  floor,
  GraphError,
  input,
  iota,
  Key,
  less,
  maximum,
  minimum,
  mul,
  type Rotations,
  reshape,
  sameSegment,
  sin,
  siteOf,
  slice,
  sub,
  type Tensor,
  transpose,
} from '../dsl/index.ts'

/** How a table of positions is resized. `bilinearCorners` is PyTorch's `align_corners`, as in Qwen3-VL. */
export type Interpolation = 'bicubic' | 'bilinear' | 'bilinearCorners'

/** How an encoder of any resolution knows where a patch is. */
export interface AnyResolution {
  /** Learned positions resized to the image's grid, rotary positions of row and column, or both. */
  readonly positions: 'learned' | 'rotary' | 'both'
  /** How learned positions are resized; default `bicubic`. */
  readonly interpolation?: Interpolation
  /** The base of the rotary frequencies; default 1e4. */
  readonly ropeTheta?: number
}

/** The base of the rotary frequencies, where none is given. */
export const rotaryTheta = 1e4

/** Where each patch of a packed row is: int32 `[patch]` each. */
export interface PatchPlaces {
  /** The number of its image, from 1; 0 where there is no patch: it sees nothing and is seen by none. */
  readonly image: Tensor
  /** From 0. */
  readonly row: Tensor
  readonly column: Tensor
  /** Rows of its image's grid. */
  readonly rows: Tensor
  readonly columns: Tensor
}

/** What a row of places holds, in this order. */
export const placeColumns = ['image', 'row', 'column', 'rows', 'columns'] as const

/** Places from int32 `[patch, place]`. @throws GraphError where the last axis is not five places */
export const patchPlaces = (places: Tensor): PatchPlaces => {
  const [patch, place] = places.axes
  if (patch === undefined || place?.size !== placeColumns.length || places.axes.length !== 2)
    throw new GraphError(
      'BadShape',
      `patchPlaces: ${placeColumns.length} numbers a patch are needed: ${placeColumns.join(', ')}`,
      siteOf(patchPlaces),
      places.axes,
    )
  const column = (i: number): Tensor => reshape(slice(places, place.name, i, 1), [patch])
  return {
    image: column(0),
    row: column(1),
    column: column(2),
    rows: column(3),
    columns: column(4),
  }
}

/** The places of packed patches as an input: `patch_places`. */
export const placesInput = (patch: Axis): PatchPlaces =>
  patchPlaces(input('patch_places', [patch, axis('place', placeColumns.length)], 'int32'))

/**
 * Patches attend to those of their own image alone: bool `[patch, key]`, false everywhere for padding.
 *
 * @category masks
 */
export const sameImage = ({ image }: PatchPlaces): Tensor => {
  const [patch] = image.axes as readonly [Axis]
  return transpose(and(sameSegment(image, patch.name), less(0, image)), [patch.name, Key])
}

/** Keys' cubic kernel (Keys 1981) at 0 ≤ x ≤ 2, with PyTorch's a = −3/4. */
const cubic = (x: Tensor, side: 'near' | 'far'): Tensor => {
  const a = -0.75
  return side === 'near'
    ? add(mul(mul(sub(mul(x, a + 2), a + 3), x), x), 1)
    : sub(mul(add(mul(sub(mul(x, a), 5 * a), x), 8 * a), x), 4 * a)
}

/** The weights of the places around a point `t` behind its floor, by their distance from the floor. */
const taps = (t: Tensor, how: Interpolation): readonly (readonly [offset: number, weight: Tensor])[] =>
  how === 'bicubic'
    ? [
        [-1, cubic(add(t, 1), 'far')],
        [0, cubic(t, 'near')],
        [1, cubic(sub(1, t), 'near')],
        [2, cubic(sub(2, t), 'far')],
      ]
    : [
        [0, sub(1, t)],
        [1, t],
      ]

/**
 * How much of each of `from.size` places along one side is in each patch: float32 `[patch, from]`, as PyTorch's
 * `interpolate` weighs them where it makes `sizes` places of them. Places beyond the border are the border's.
 *
 * @param at int32 `[patch]`: the patch's place along that side
 * @param sizes int32 `[patch]`: places of its image along that side
 */
const weightsAlong = (at: Tensor, sizes: Tensor, from: Axis, how: Interpolation): Tensor => {
  const [place, size] = [cast(at, 'float32'), cast(sizes, 'float32')]
  const source: Tensor =
    how === 'bilinearCorners'
      ? mul(place, div(from.size - 1, maximum(sub(size, 1), 1)))
      : // padding has a grid of 0 places
        sub(mul(add(place, 0.5), div(from.size, maximum(size, 1))), 0.5)
  const below: Tensor = floor(source)
  const each: Tensor = cast(iota(from), 'float32')
  return taps(sub(source, below), how)
    .map(([offset, weight]): Tensor => {
      const tap = minimum(maximum(add(below, offset), 0), from.size - 1)
      return mul(cast(equal(tap, each), 'float32'), weight)
    })
    .reduce((a, b): Tensor => add(a, b))
}

/**
 * Learned positions at the patches' places: the table of a square grid resized to each image's own grid, `[patch, …]`. On
 * an image of the table's own grid it is the table.
 *
 * @param table float32 `[gridRow, gridColumn, …]`
 * @category layers
 */
export const resizedPositions = (
  table: Tensor,
  places: PatchPlaces,
  how: Interpolation = 'bicubic',
): Tensor => {
  const [rows, columns] = table.axes as readonly [Axis, Axis]
  const weights = mul(
    weightsAlong(places.row, places.rows, rows, how),
    weightsAlong(places.column, places.columns, columns, how),
  )
  return contract<readonly string[], readonly string[], string>(weights, table, rows.name, columns.name)
}

/**
 * Rotary positions in two dimensions: the angles of the row, then those of the column, over half of the head dimension;
 * the other half repeats them (halves side by side). Each has frequencies θ^(−4i/d) for a head of d.
 *
 * @param headDim the rotated axis; its size d is a multiple of 4
 * @throws GraphError `BadShape` where it is none
 * @category layers
 */
export const gridRotations = (
  { row, column }: PatchPlaces,
  headDim: Axis,
  theta: number = rotaryTheta,
): Rotations => {
  const quarter = headDim.size / 4
  if (!Number.isInteger(quarter))
    throw new GraphError(
      'BadShape',
      `rotary positions of row and column need '${headDim.name}' to be a multiple of 4, not ${headDim.size}`,
      siteOf(gridRotations),
      [headDim],
    )
  const inverse = Float32Array.from({ length: quarter }, (_, i) => theta ** (-(2 * i) / (2 * quarter)))
  const frequencies = constant(inverse, [axis(headDim.name, quarter)])
  const angles = [row, column].map((at): Tensor => mul(cast(at, 'float32'), frequencies))
  const all = concat([...angles, ...angles], headDim.name)
  return { cos: cos(all), sin: sin(all) }
}
