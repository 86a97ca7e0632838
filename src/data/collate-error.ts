/** A batch that cannot be made. */
import type { RgbImage } from './image.ts'

/** What can be wrong with a batch. */
export type CollateErrorTag =
  | 'TooLong'
  | 'TooMany'
  | 'BadImage'
  | 'ImageTokens'
  | 'BadToken'
  | 'BadMask'
  | 'NothingToLearn'

/** A batch that cannot be made; the message names the sample. */
export class CollateError extends Error {
  readonly tag: CollateErrorTag
  /** The sample at fault. */
  readonly sample: string
  constructor(tag: CollateErrorTag, sample: string, message: string) {
    super(message)
    this.name = 'CollateError'
    this.tag = tag
    this.sample = sample
  }
}

/** Sees that an image has as many bytes as its sides say. @throws CollateError `BadImage` */
export const checkedBytes = (sample: string, { width, height, data }: RgbImage): void => {
  if (data.length !== 3 * width * height)
    throw new CollateError(
      'BadImage',
      sample,
      `sample ${sample} has an image of ${width} × ${height} pixels with ${data.length} bytes; three a pixel are ${3 * width * height}`,
    )
}

/** What to do where a batch has no place for an image. */
export const moreImages =
  "raise images in the batch's sizes, where each tile or square and each frame is one, or show fewer"
