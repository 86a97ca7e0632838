/**
 * Images of any size for an encoder that reads packed patches (SAIL-VL2 §2.1, SAILViT-AnyRes): each keeps its shape, in whole
 * squares of patches that make a token each, and a batch is one row of the patches of all images, with their places.
 *
 * @since 0.1.0
 */
import { onlySettings } from '../settings/index.ts'
import { CollateError, checkedBytes, moreImages } from './collate-error.ts'
import { imagenetNormalise, type RgbImage } from './image.ts'
import type { ImageReading } from './image-reading.ts'
import { resize } from './resize.ts'
import { leastToMost, wholeNumber } from './whole-number.ts'

/** How the encoder's patches lie in squares. */
export interface SquareSizes {
  /** Pixels along each side of a square, which is a token: 28. */
  readonly size: number
  /** Pixels along each side of a patch: 14. */
  readonly patchSize?: number
}

/** How many squares an image becomes. */
export interface SquareBudget {
  /** Fewest squares of an image; default 4. */
  readonly least?: number
  /**
   * Most squares of all images of a conversation together; each of n images may have an n-th, but always one. Default 4096:
   * 1792 × 1792 pixels, the largest that SAIL-VL2 reads.
   */
  readonly most?: number
}

/**
 * Columns and rows of squares that are nearest to an image's sides; where they would be too many or too few, those of the
 * image made smaller or larger in its own shape. An image too long and thin for the budget loses of its length.
 *
 * @param size pixels along each side of a square
 * @throws RangeError where a number is no whole one from 1 on, or `least` is above `most`
 * @category reading
 */
export const squaresOf = (
  width: number,
  height: number,
  size: number,
  options: SquareBudget = {},
): { readonly columns: number; readonly rows: number } => {
  const { least = 4, most = 4096 } = onlySettings('squaresOf', options, ['least', 'most'])
  const whole = (what: string, n: number): number => wholeNumber('any sizes', what, n)
  const [w, h, side] = [whole('width', width), whole('height', height), whole('size', size)]
  leastToMost('any sizes', least, most)
  const sides = (scale: number, round: (n: number) => number) => {
    const of = (n: number): number => Math.max(1, round((n * scale) / side))
    return { columns: of(w), rows: of(h) }
  }
  const near = sides(1, Math.round)
  const squares = near.columns * near.rows
  const shape = w * h
  if (squares < least) {
    const larger = sides(Math.sqrt((least * side * side) / shape), Math.ceil)
    return capped(larger, most)
  }
  return squares > most ? capped(sides(Math.sqrt((most * side * side) / shape), Math.floor), most) : near
}

/** Takes of the longer side what is over the budget. */
const capped = ({ columns, rows }: { readonly columns: number; readonly rows: number }, most: number) =>
  columns >= rows
    ? { columns: Math.min(columns, Math.max(1, Math.floor(most / rows))), rows }
    : { columns, rows: Math.min(rows, Math.max(1, Math.floor(most / columns))) }

/**
 * An image is one piece of its own shape, stretched bicubically to whole squares; each square is a token.
 *
 * @param sizes what the model reads: its `image`
 * @throws RangeError where the model reads tiles, or a number is no whole one from 1 on
 * @category reading
 */
export const anySizes = (sizes: SquareSizes, budget: SquareBudget = {}): ImageReading => {
  onlySettings('anySizes', budget, ['least', 'most'])
  const { least = 4, most = 4096 } = budget
  if (sizes.patchSize === undefined)
    throw new RangeError('any sizes: the model has no patchSize, so it reads tiles of one size')
  const { size } = sizes
  const patchSize = wholeNumber('any sizes', 'patchSize', sizes.patchSize)
  // says what is wrong with a number
  squaresOf(size, size, size, { least, most })
  if (size % patchSize !== 0)
    throw new RangeError(`any sizes: patches of ${patchSize} pixels do not fill squares of ${size}`)
  return {
    config: { any: true, least, most, patchSize },
    patchSize,
    cut: (images) => {
      const each = Math.max(1, Math.floor(most / images.length))
      return images.map(({ image }) => {
        const { columns, rows } = squaresOf(image.width, image.height, size, {
          ...{ least: Math.min(least, each), most: each },
        })
        const [width, height] = [columns * size, rows * size]
        return [image.width === width && image.height === height ? image : resize(image, width, height)]
      })
    },
    tokensOf: ({ width, height }) => (width / size) * (height / size),
    most: 1,
  }
}

/** Numbers that tell a patch's place: its image from 1, row, column, rows and columns of the image's grid. */
export const placeNumbers = 5

/** Packed patches as arrays; those that are left over are 0, and so are their places. */
export interface PackedPatches {
  /** Normalised pixels. Shape [patch, channel, row, column]. */
  readonly pixel_values: Float32Array
  /** Where each patch is: image (from 1), row, column, rows, columns; 0 where there is none. Shape [patch, place]. */
  readonly patch_places: Int32Array
}

/**
 * The patches of images, square by square and image by image; the patches of a square row by row.
 *
 * @param squares how many there is room for
 * @throws CollateError `TooMany`, `BadImage` (sides that are no whole squares, or not as many bytes as its size says)
 */
export const packedPatches = (
  samples: readonly { readonly id: string; readonly images: readonly RgbImage[] }[],
  squares: number,
  size: number,
  patchSize: number,
): PackedPatches => {
  const fold = size / patchSize
  const numbers = 3 * patchSize * patchSize
  const pixel_values = new Float32Array(squares * fold * fold * numbers)
  const patch_places = new Int32Array(squares * fold * fold * placeNumbers)
  let [patch, number] = [0, 0]
  for (const { id, images } of samples)
    for (const image of images) {
      checked(id, image, size)
      const [columns, rows] = [image.width / patchSize, image.height / patchSize]
      if (patch + rows * columns > squares * fold * fold)
        throw new CollateError(
          'TooMany',
          id,
          `sample ${id} has an image too many: the batch holds ${squares} squares of ${size} × ${size} pixels; ${moreImages}`,
        )
      number++
      const planes = imagenetNormalise(image)
      for (let square = 0; square < (rows * columns) / (fold * fold); square++)
        for (let within = 0; within < fold * fold; within++) {
          const across = columns / fold
          const row = Math.floor(square / across) * fold + Math.floor(within / fold)
          const column = (square % across) * fold + (within % fold)
          patch_places.set([number, row, column, rows, columns], patch * placeNumbers)
          for (let line = 0; line < 3 * patchSize; line++) {
            const [channel, y] = [Math.floor(line / patchSize), line % patchSize]
            const from = (channel * image.height + row * patchSize + y) * image.width + column * patchSize
            pixel_values.set(planes.subarray(from, from + patchSize), patch * numbers + line * patchSize)
          }
          patch++
        }
    }
  return { pixel_values, patch_places }
}

const checked = (id: string, image: RgbImage, size: number): void => {
  const { width, height } = image
  if (width % size !== 0 || height % size !== 0 || width * height === 0)
    throw new CollateError(
      'BadImage',
      id,
      `sample ${id} has an image of ${width} × ${height} pixels; sides that are multiples of ${size} are read, as the processor makes them`,
    )
  checkedBytes(id, image)
}
