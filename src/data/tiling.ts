/**
 * Images cut into tiles of the encoder's size, as InternVL and SAIL-VL2 cut them: the grid whose shape is nearest to the image's,
 * and the whole image once more, small.
 *
 * @since 0.1.0
 */
import { onlySettings } from '../settings/index.ts'
import type { RgbImage } from './image.ts'
import { resize } from './resize.ts'
import { leastToMost, wholeNumber } from './whole-number.ts'

/** Tiles across and down. */
export interface Grid {
  readonly columns: number
  readonly rows: number
}

/** How an image is cut. */
export interface TilingOptions {
  /** Fewest tiles of a grid; default 1. */
  readonly least?: number
  /** Most tiles of a grid, the thumbnail not counted; default 10, with which SAIL-VL2 is evaluated. */
  readonly most?: number
  /** Side of a tile in pixels; default 448. */
  readonly size?: number
  /** Whether the whole image comes last where it was cut; default true. */
  readonly thumbnail?: boolean
}

const whole = (what: string, value: number): number => wholeNumber('tiling', what, value)

/** The grids of `least` to `most` tiles, small ones first. */
const gridsOf = (least: number, most: number): readonly Grid[] => {
  const all: Grid[] = []
  for (let columns = 1; columns <= most; columns++)
    for (let rows = 1; columns * rows <= most; rows++)
      if (columns * rows >= least) all.push({ columns, rows })
  return all.sort((a, b) => a.columns * a.rows - b.columns * b.rows)
}

/** The grid whose shape is nearest; of equally near ones a larger one where the image has pixels for half of its tiles. */
const nearest = (width: number, height: number, size: number, grids: readonly Grid[]): Grid | undefined => {
  let best: Grid | undefined
  let least = Number.POSITIVE_INFINITY
  for (const g of grids) {
    const off = Math.abs(width / height - g.columns / g.rows)
    const fills = width * height > 0.5 * size * size * g.columns * g.rows
    if (off < least || (off === least && fills)) best = g
    least = Math.min(least, off)
  }
  return best
}

const settled = (options: TilingOptions) => {
  const known = ['least', 'most', 'size', 'thumbnail']
  const { least = 1, most = 10, size = 448, thumbnail = true } = onlySettings('tiling', options, known)
  return { ...leastToMost('tiling', least, most), size: whole('size', size), thumbnail }
}

/**
 * The grid of an image of `width` × `height` pixels.
 *
 * @throws RangeError where a number is no whole one from 1 on, or `least` is above `most`
 * @category tiling
 */
export const gridOf = (width: number, height: number, options: TilingOptions = {}): Grid => {
  const { least, most, size } = settled(options)
  return nearest(whole('width', width), whole('height', height), size, gridsOf(least, most))!
}

/**
 * The second grid of multi-scale adaptive cropping (SAIL-VL2's `use_msac`): the nearest one whose borders are not all borders of
 * the first already. Undefined where there is none.
 *
 * @throws RangeError as {@link gridOf}
 * @category tiling
 */
export const secondGridOf = (
  width: number,
  height: number,
  options: TilingOptions = {},
): Grid | undefined => {
  const { least, most, size } = settled(options)
  const first = gridOf(width, height, options)
  const others = gridsOf(least, most).filter(
    (g) => first.columns % g.columns !== 0 || first.rows % g.rows !== 0,
  )
  return nearest(width, height, size, others)
}

/** A square of an image. */
const squareAt = (image: RgbImage, left: number, top: number, size: number): RgbImage => {
  const data = new Uint8Array(size * size * 3)
  for (let y = 0; y < size; y++) {
    const from = ((top + y) * image.width + left) * 3
    data.set(image.data.subarray(from, from + size * 3), y * size * 3)
  }
  return { width: size, height: size, channels: 3, data }
}

/** An image stretched over a grid and cut, row by row. */
const cut = (image: RgbImage, { columns, rows }: Grid, size: number): readonly RgbImage[] => {
  const large = resize(image, columns * size, rows * size)
  return Array.from({ length: columns * rows }, (_, i) =>
    squareAt(large, (i % columns) * size, Math.floor(i / columns) * size, size),
  )
}

const smallOf = (image: RgbImage, count: number, size: number, thumbnail: boolean): readonly RgbImage[] =>
  thumbnail && count > 1 ? [resize(image, size, size)] : []

/**
 * An image as tiles, row by row from the top left: stretched to the grid that {@link gridOf} gives, bicubically as Pillow
 * does, and cut. Where there is more than one, the whole image comes last.
 *
 * @throws RangeError as {@link gridOf}
 * @category tiling
 */
export const dynamicTiles = (image: RgbImage, options: TilingOptions = {}): readonly RgbImage[] => {
  const { size, thumbnail } = settled(options)
  const tiles = cut(image, gridOf(image.width, image.height, options), size)
  return [...tiles, ...smallOf(image, tiles.length, size, thumbnail)]
}

/**
 * An image as tiles at two scales (multi-scale adaptive cropping): those of {@link dynamicTiles}, then those of
 * {@link secondGridOf}, and the whole image last. Of an image that is one tile that tile comes last.
 *
 * @throws RangeError as {@link gridOf}
 * @category tiling
 */
export const multiScaleTiles = (image: RgbImage, options: TilingOptions = {}): readonly RgbImage[] => {
  const { size, thumbnail } = settled(options)
  const first = cut(image, gridOf(image.width, image.height, options), size)
  const second = secondGridOf(image.width, image.height, options)
  const more = second === undefined ? [] : cut(image, second, size)
  return first.length === 1
    ? [...more, ...first]
    : [...first, ...more, ...smallOf(image, first.length, size, thumbnail)]
}

/**
 * The most tiles that each of several images may have, so that all of them keep to a budget: 64 in SAIL-VL2. At least 1, so
 * that more images than the budget are one tile each.
 *
 * @throws RangeError where a number is no whole one from 1 on
 * @category tiling
 */
export const tilesEach = (images: number, most = 10, budget = 64): number => {
  const each = Math.floor(whole('budget', budget) / whole('images', images))
  return Math.max(1, Math.min(whole('most', most), each))
}
