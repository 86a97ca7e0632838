/**
 * From conversations to the arrays of a batch. Axis names: row, token, image, channel, height, width.
 *
 * @since 0.1.0
 */
import { packedPatches } from './any-resolution.ts'
import { CollateError, type CollateErrorTag, checkedBytes, moreImages } from './collate-error.ts'
import type { Conversation } from './conversation.ts'
import { imagenetNormalise, type RgbImage } from './image.ts'
import type { Processor } from './processor.ts'

export { CollateError, type CollateErrorTag } from './collate-error.ts'

/** What a label says where no loss is taken. */
export const noLoss = -100

/** Sizes of a batch of text. */
export interface TextSizes {
  /** Rows; rows without a conversation are all padding. */
  readonly rows: number
  /** Tokens a row. */
  readonly tokens: number
}

/** Sizes of a batch of text with images. */
export interface BatchSizes extends TextSizes {
  /**
   * Images of all rows together, tiles counted one by one; those that no conversation has are 0. Where the model reads images
   * of any size, their squares, which are its visual tokens.
   */
  readonly images: number
}

/** The text of a batch, row by row. */
export interface TextBatch {
  /** Token ids. Shape [row, token]. */
  readonly input_ids: Int32Array
  /** 1 where there is a token, 0 where there is padding (always on the right). Shape [row, token]. */
  readonly attention_mask: Int32Array
  /** A token's place in its row; 0 in padding. Shape [row, token]. */
  readonly position_ids: Int32Array
  /** The token itself where it is learnt, else -100; the loss compares position t with label t + 1. Shape [row, token]. */
  readonly labels: Int32Array
}

/** The images of a batch, and where their tokens stand. */
export interface ImageBatch {
  /** For each place the index among the tokens of all images, one image's after the other's, or -1. Shape [row, token]. */
  readonly visual_index: Int32Array
  /** Normalised pixels. Shape [image, channel, height, width]; of any resolution [patch, channel, row, column] of a patch. */
  readonly pixel_values: Float32Array
  /** Where each patch is, where the model reads images of any size. Shape [patch, place]. */
  readonly patch_places?: Int32Array
}

/** A conversation, and where in a batch its first token stands. */
export interface Segment<out C extends Conversation = Conversation> {
  readonly conversation: C
  readonly row: number
  /** Its first token's place in the row. */
  readonly start: number
}

/** A conversation a row. */
const oneARow = <C extends Conversation>(conversations: readonly C[]): readonly Segment<C>[] =>
  conversations.map((conversation, row) => ({ conversation, row, start: 0 }))

const checkedSegment = (c: Conversation, sizes: TextSizes, vocabulary: number): void => {
  const wrong = (tag: CollateErrorTag, what: string): never => {
    throw new CollateError(tag, c.id, `sample ${c.id} ${what}`)
  }
  if (!Array.isArray(c.ids) || !Array.isArray(c.lossMask) || !Array.isArray(c.images))
    wrong('BadMask', 'is no conversation: it needs ids, lossMask and images, as conversation(…) makes them')
  if (c.ids.length > sizes.tokens)
    wrong(
      'TooLong',
      `has ${c.ids.length} tokens and a row holds ${sizes.tokens}; raise the row's tokens or shorten the sample`,
    )
  if (c.lossMask.length !== c.ids.length)
    wrong('BadMask', `has ${c.ids.length} tokens and a loss mask of ${c.lossMask.length}; give one for each`)
  const bad = c.ids.findIndex((id) => !(Number.isInteger(id) && id >= 0 && id < vocabulary))
  if (bad >= 0)
    wrong(
      'BadToken',
      `has the id ${c.ids[bad]} at place ${bad}; the tokenizer's ids are 0 to ${vocabulary - 1}`,
    )
}

/**
 * The text of segments that do not overlap and end inside their rows; positions begin at 0 in each.
 *
 * @throws CollateError `TooLong`, `BadToken`, `BadMask`
 */
export const segmentsText = (
  segments: readonly Segment[],
  sizes: TextSizes,
  processor: Processor,
): TextBatch => {
  const all = sizes.rows * sizes.tokens
  const out: TextBatch = {
    input_ids: new Int32Array(all).fill(processor.pad),
    attention_mask: new Int32Array(all),
    position_ids: new Int32Array(all),
    labels: new Int32Array(all).fill(noLoss),
  }
  for (const { conversation: c, row, start } of segments) {
    checkedSegment(c, sizes, processor.tokenizer.size)
    c.ids.forEach((id, t) => {
      const at = row * sizes.tokens + start + t
      out.input_ids[at] = id
      out.attention_mask[at] = 1
      out.position_ids[at] = t
      if (c.lossMask[t]) out.labels[at] = id
    })
  }
  return out
}

/**
 * The text of conversations, one a row. Nothing is ever cut: what does not fit is an error.
 *
 * @throws CollateError `TooLong`, `TooMany` (more conversations than rows), `BadToken`, `BadMask`
 */
export const collateText = (
  conversations: readonly Conversation[],
  sizes: TextSizes,
  processor: Processor,
): TextBatch => {
  const { rows } = sizes
  if (conversations.length > rows)
    throw new CollateError(
      'TooMany',
      conversations[rows]!.id,
      `${conversations.length} conversations were given for ${rows} rows; the first without a row is ${conversations[rows]!.id}`,
    )
  return segmentsText(oneARow(conversations), sizes, processor)
}

/** How many tiles of a batch images take: one each, or their squares where the model reads images of any size. */
export const tilesOf = ({ image }: Processor, images: readonly RgbImage[]): number =>
  images.reduce((n, each) => n + (image === undefined ? 1 : image.tokensOf(each) / image.tokens), 0)

/** Tokens of each tile. */
export const tokensOfTiles = ({ image }: Processor, tiles: readonly RgbImage[]): readonly number[] =>
  tiles.map((tile) => image?.tokensOf(tile) ?? 0)

/** So many tiles, in words. */
const imagesHeld = ({ image }: Processor, tiles: number): string =>
  image?.patchSize === undefined ? String(tiles) : `${tiles} squares of ${image.size} × ${image.size} pixels`

/**
 * Where the tokens of the images of segments stand, in the order of their images.
 *
 * @throws CollateError as {@link visualIndex}
 */
export const segmentsVisualIndex = <C extends Conversation>(
  segments: readonly Segment<C>[],
  sizes: BatchSizes,
  processor: Processor,
  tokensOf: (c: C) => readonly number[] = (c) => tokensOfTiles(processor, c.images),
): Int32Array => {
  const out = new Int32Array(sizes.rows * sizes.tokens).fill(-1)
  const { placeholder = -1 } = processor.image ?? {}
  let [before, place] = [0, 0]
  for (const { conversation: c, row, start } of segments) {
    const tiles = tokensOf(c)
    const wanted = tiles.reduce((n, own) => n + own, 0)
    before += wanted / (processor.image?.tokens ?? 1)
    if (before > sizes.images)
      throw new CollateError(
        'TooMany',
        c.id,
        `sample ${c.id} has an image too many: the batch holds ${imagesHeld(processor, sizes.images)}; ${moreImages}`,
      )
    const begin = place
    c.ids.forEach((id, t) => {
      if (id === placeholder) out[row * sizes.tokens + start + t] = place++
    })
    if (place - begin !== wanted)
      throw new CollateError(
        'ImageTokens',
        c.id,
        `sample ${c.id} has ${tiles.length} images but ${place - begin} image tokens; they take ${wanted}`,
      )
  }
  return out
}

/**
 * Where the tokens of images stand, in the order of their images.
 *
 * @param tokensOf tokens of each image of a conversation; default: those of the images that it carries
 * @returns the index among the tokens of all images, or -1. Shape [row, token]
 * @throws CollateError `TooMany` (more images than `sizes.images`), `ImageTokens` (their tokens are not as many as the
 *   processor's for each image)
 */
export const visualIndex = <C extends Conversation>(
  conversations: readonly C[],
  sizes: BatchSizes,
  processor: Processor,
  tokensOf?: (c: C) => readonly number[],
): Int32Array => segmentsVisualIndex(oneARow(conversations), sizes, processor, tokensOf)

/**
 * Images as planes of normalised pixels; those that are left over are 0. Shape [image, channel, height, width].
 *
 * @throws CollateError `TooMany`, `BadImage` (another size, or not as many bytes as its size says)
 */
export const pixelValues = (
  samples: readonly { readonly id: string; readonly images: readonly RgbImage[] }[],
  images: number,
  size: number,
): Float32Array => {
  const out = new Float32Array(images * 3 * size * size)
  let at = 0
  for (const { id, images: own } of samples)
    for (const image of own) {
      if (at >= images)
        throw new CollateError(
          'TooMany',
          id,
          `sample ${id} has an image too many: the batch holds ${images}; ${moreImages}`,
        )
      if (image.width !== size || image.height !== size)
        throw new CollateError(
          'BadImage',
          id,
          `sample ${id} has an image of ${image.width} × ${image.height} pixels; this batch takes ${size} × ${size}`,
        )
      checkedBytes(id, image)
      imagenetNormalise(image, out, at++ * 3 * size * size)
    }
  return out
}

/**
 * The pixels of images as a processor's model reads them: tiles, or packed patches and their places.
 *
 * @throws CollateError as {@link pixelValues} and {@link packedPatches}
 */
export const imageArrays = (
  samples: readonly { readonly id: string; readonly images: readonly RgbImage[] }[],
  images: number,
  { image }: Processor,
): Omit<ImageBatch, 'visual_index'> =>
  image?.patchSize === undefined
    ? { pixel_values: pixelValues(samples, images, image?.size ?? 0) }
    : packedPatches(samples, images, image.size, image.patchSize)

/**
 * The images of conversations and where their tokens stand.
 *
 * @throws CollateError as {@link visualIndex} and {@link imageArrays}
 */
export const collateImages = (
  conversations: readonly Conversation[],
  sizes: BatchSizes,
  processor: Processor,
): ImageBatch => ({
  visual_index: visualIndex(conversations, sizes, processor),
  ...imageArrays(conversations, sizes.images, processor),
})

/**
 * How many positions a next-token loss counts: labels behind the first token of each segment.
 *
 * @throws CollateError `NothingToLearn` where a conversation has none: it would cost its tokens and teach nothing
 */
export const segmentsLabels = (
  segments: readonly Segment[],
  labels: Int32Array,
  sizes: TextSizes,
): number => {
  let all = 0
  for (const { conversation: c, row, start } of segments) {
    let own = 0
    for (let t = 1; t < c.ids.length; t++) if (labels[row * sizes.tokens + start + t]! >= 0) own++
    if (own === 0)
      throw new CollateError(
        'NothingToLearn',
        c.id,
        `sample ${c.id} has nothing to learn: its loss mask is false everywhere behind its first token`,
      )
    all += own
  }
  return all
}

/**
 * How many positions of a batch a next-token loss counts: labels behind the first place of a row.
 *
 * @throws CollateError `NothingToLearn` where a conversation has none: it would cost a row and teach nothing
 */
export const countedLabels = (
  conversations: readonly Conversation[],
  labels: Int32Array,
  sizes: TextSizes,
): number => segmentsLabels(oneARow(conversations), labels, sizes)
