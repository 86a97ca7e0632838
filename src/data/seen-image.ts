/**
 * Images as a model reads them: tiles, and the ids that stand for them. Both come of one value, so that they cannot disagree.
 *
 * @since 0.1.0
 */
import type { RgbImage } from './image.ts'
import type { GivenImage } from './image-reading.ts'
import { type Processor, ProcessorError } from './processor.ts'
import { resize } from './resize.ts'

/** An image as a model reads it. */
export interface SeenImage {
  /** What stands for it in a text: the token that opens it, a place for each of its tokens, the token that closes it. */
  readonly ids: readonly number[]
  /** What the encoder reads, in the order of those places. */
  readonly tiles: readonly RgbImage[]
  /** The image itself, of no more pixels than its tiles have. */
  readonly image: RgbImage
}

/** The ids of an image of so many tokens. */
const idsOf = ({ open, placeholder, close }: NonNullable<Processor['image']>, tokens: number) => [
  open,
  ...Array<number>(tokens).fill(placeholder),
  close,
]

const imageOptions = (p: Processor): NonNullable<Processor['image']> => {
  if (p.image !== undefined) return p.image
  throw new ProcessorError(
    'OtherModel',
    'the conversation has images, and the processor lays out none; give it image options',
  )
}

/** @throws ProcessorError `BadSize` where an image has no pixels, or other bytes than three a pixel */
const checkedPixels = ({ width, height, data }: RgbImage, i: number): void => {
  const sides = [width, height].every((side) => Number.isSafeInteger(side) && side > 0)
  if (sides && data?.length === 3 * width * height) return
  throw new ProcessorError(
    'BadSize',
    `image ${i + 1} of the conversation is ${width} × ${height} pixels with ${data?.length ?? 'no'} bytes; give at least one pixel, and three bytes for each`,
  )
}

/** An image with as many pixels as its tiles, or its own where they are fewer: it is kept beside them to be looked at. */
const kept = (image: RgbImage, tiles: readonly RgbImage[]): RgbImage => {
  if (tiles.length === 1) return tiles[0]!
  const pixels = tiles.reduce((n, t) => n + t.width * t.height, 0)
  const scale = Math.sqrt(pixels / (image.width * image.height))
  if (scale >= 1) return image
  const side = (n: number): number => Math.max(1, Math.floor(n * scale))
  return resize(image, side(image.width), side(image.height))
}

/**
 * The images of one conversation as a processor's model reads them.
 *
 * @throws ProcessorError `OtherModel` where there are images and the processor lays out none, `BadSize` where one has no pixels,
 *   or other bytes than three a pixel
 * @category reading
 */
export const seen = (p: Processor, images: readonly GivenImage[]): readonly SeenImage[] => {
  if (images.length === 0) return []
  const options = imageOptions(p)
  images.forEach(({ image }, i) => {
    checkedPixels(image, i)
  })
  return options.cut(images).map((tiles, i) => ({
    ids: idsOf(
      options,
      tiles.reduce((n, tile) => n + options.tokensOf(tile), 0),
    ),
    tiles,
    image: kept(images[i]!.image, tiles),
  }))
}

/**
 * The ids that stand for any image, where the image itself does not matter.
 *
 * @throws ProcessorError `OtherModel` where the processor lays out no images, or how many tokens one takes depends on it
 */
export const anyImageIds = (p: Processor): readonly number[] => {
  const options = imageOptions(p)
  if (options.perImage !== undefined) return idsOf(options, options.perImage)
  throw new ProcessorError(
    'OtherModel',
    'how many tokens stand for an image depends on the image here, and there is none; give it',
  )
}

/** What a conversation keeps of its images: the tiles, and, where some are cut, the images themselves. */
export const keptImages = (
  images: readonly SeenImage[],
): { readonly images: readonly RgbImage[]; readonly uncut?: readonly RgbImage[] } => ({
  images: images.flatMap(({ tiles }) => tiles),
  ...(images.every(({ tiles }) => tiles.length === 1) ? {} : { uncut: images.map(({ image }) => image) }),
})
