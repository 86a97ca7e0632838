/**
 * From packs to the arrays of a batch. Axis names: row, token, image, channel, height, width.
 *
 * @since 0.1.0
 */
import {
  type ImageBatch,
  imageArrays,
  noLoss,
  type Segment,
  segmentsLabels,
  segmentsText,
  segmentsVisualIndex,
  type TextBatch,
} from './collate.ts'
import { CollateError } from './collate-error.ts'
import type { Conversation } from './conversation.ts'
import type { Pack, PackSizes } from './pack.ts'
import type { Processor } from './processor.ts'

/** A pack as arrays. Positions begin at 0 in each segment; the label of a segment's first token is always -100. */
export interface PackedBatch extends TextBatch, ImageBatch {
  /** The number of each token's segment in its row, from 1; 0 in padding. Shape [row, token]. */
  readonly segment_ids: Int32Array
  /** How many positions a next-token loss counts. */
  readonly counted: number
}

const segmentsOf = (pack: Pack, sizes: PackSizes): readonly Segment[] => {
  const over = pack.rows[sizes.rows]?.[0]
  if (over !== undefined)
    throw new CollateError(
      'TooMany',
      over.id,
      `a pack has ${pack.rows.length} rows and the batch ${sizes.rows}; the first sample without a row is ${over.id}`,
    )
  return pack.rows.flatMap((row, r) => {
    let start = 0
    return row.map((conversation: Conversation) => {
      const segment = { conversation, row: r, start }
      start += conversation.ids.length
      if (start > sizes.tokens)
        throw new CollateError(
          'TooLong',
          conversation.id,
          `sample ${conversation.id} ends at token ${start} of its row and a row holds ${sizes.tokens}; pack rows as long as the batch's`,
        )
      return segment
    })
  })
}

/**
 * The arrays of a pack; images are in the order of rows and segments. Nothing is ever cut: what does not fit is an error.
 *
 * @throws CollateError `TooLong`, `TooMany` (rows, images), `BadToken`, `BadMask`, `ImageTokens`, `BadImage`,
 *   `NothingToLearn`
 */
export const collatePacked = (pack: Pack, sizes: PackSizes, processor: Processor): PackedBatch => {
  const segments = segmentsOf(pack, sizes)
  const text = segmentsText(segments, sizes, processor)
  const segment_ids = new Int32Array(sizes.rows * sizes.tokens)
  let [row, number] = [-1, 0]
  for (const s of segments) {
    number = s.row === row ? number + 1 : 1
    row = s.row
    const at = row * sizes.tokens + s.start
    segment_ids.fill(number, at, at + s.conversation.ids.length)
    // else the last token of the segment before would be asked for it
    text.labels[at] = noLoss
  }
  return {
    ...text,
    segment_ids,
    visual_index: segmentsVisualIndex(segments, sizes, processor),
    ...imageArrays(
      segments.map((s) => s.conversation),
      sizes.images,
      processor,
    ),
    counted: segmentsLabels(segments, text.labels, sizes),
  }
}
