/**
 * How an encoder reads images: which pieces of them, and how many tokens stand for each. Everything that lays out images asks
 * a reading, so that an encoder of another kind needs no other code.
 *
 * @since 0.1.0
 */
import { onlySettings } from '../settings/index.ts'
import type { RgbImage } from './image.ts'
import { resize } from './resize.ts'
import { dynamicTiles, gridOf, multiScaleTiles, type TilingOptions, tilesEach } from './tiling.ts'

/** An image that a conversation shows, of any size. */
export interface GivenImage {
  readonly image: RgbImage
  /** Whether it is one of a video's frames, which are never cut; default false. */
  readonly frame?: boolean
}

/** How an encoder reads images. */
export interface ImageReading {
  /** What it is, as plain JSON data; undefined for one tile an image. */
  readonly config?: unknown
  /**
   * The tiles that the encoder reads of each image of one conversation, at least one an image. Images of a conversation may
   * share a budget, so all are given.
   */
  readonly cut: (images: readonly GivenImage[]) => readonly (readonly RgbImage[])[]
  /** Tokens that stand for a tile. It is a function of the tile alone. */
  readonly tokensOf: (tile: RgbImage) => number
  /** Pixels along each side of a patch, where the encoder reads images of any size as packed patches; else undefined. */
  readonly patchSize?: number
  /** Most tiles of one image. */
  readonly most: number
  /** Tokens of an image, where every image takes equally many. */
  readonly perImage?: number
}

/** How images are cut into tiles, as SAIL-VL2 cuts them. */
export interface ImageTiling extends Omit<TilingOptions, 'size'> {
  /** Whether an image that is a conversation's only one is cut at two scales ({@link multiScaleTiles}); default false. */
  readonly multiScale?: boolean
  /**
   * Tiles of the grids of all images and frames of a conversation together; each image may have as many as
   * {@link tilesEach} says. Thumbnails and a second scale are not counted, as SAIL-VL2 does not count them. Default 64.
   */
  readonly budget?: number
}

/** An image as one tile: stretched to it where it has another size. */
const oneTile = (image: RgbImage, size: number): readonly RgbImage[] => [
  image.width === size && image.height === size ? image : resize(image, size, size),
]

/**
 * An image is one tile, whatever its sides are.
 *
 * @param tokens tokens of a tile
 * @category reading
 */
export const singleTiles = (size: number, tokens: number): ImageReading => ({
  cut: (images) => images.map(({ image }) => oneTile(image, size)),
  tokensOf: () => tokens,
  most: 1,
  perImage: tokens,
})

/**
 * An image is the tiles of a grid of its shape; a frame is one tile.
 *
 * @param tokens tokens of a tile
 * @throws RangeError where a number is no whole one from 1 on, or `least` is above `most`
 * @category reading
 */
export const gridTiles = (size: number, tokens: number, tiling: ImageTiling): ImageReading => {
  onlySettings('gridTiles', tiling, ['multiScale', 'budget', 'least', 'most', 'thumbnail'])
  const { least = 1, most = 10, thumbnail = true, multiScale = false, budget = 64 } = tiling
  // both say what is wrong with a number
  gridOf(size, size, { least, most, size })
  tilesEach(1, most, budget)
  return {
    config: { least, most, thumbnail, multiScale, budget },
    cut: (images) => {
      const frames = images.filter(({ frame }) => frame === true).length
      const cut = images.length - frames
      const each = cut === 0 ? 1 : tilesEach(cut, most, Math.max(1, budget - frames))
      const options = { size, thumbnail, most: each, least: Math.min(least, each) }
      const tiles = multiScale && images.length === 1 ? multiScaleTiles : dynamicTiles
      return images.map(({ image, frame }) => (frame ? oneTile(image, size) : tiles(image, options)))
    },
    tokensOf: () => tokens,
    most: (multiScale ? 2 : 1) * most + (thumbnail && most > 1 ? 1 : 0),
    ...(most === 1 && !multiScale ? { perImage: tokens } : {}),
  }
}
