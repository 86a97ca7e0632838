/**
 * What a stage minimises: a loss as graph over a batch, and how a batch feeds it.
 *
 * @since 0.1.0
 */
import type { Batch } from '../data/collate.ts'
import { type Axis, axis, input, type MaskedLoss } from '../dsl/index.ts'
import { causal } from '../dsl/layers/attention.ts'
import type { TensorValue } from '../engine/session.ts'
import { vitAxes } from '../models/sail-vit.ts'
import { nextTokenLoss, type SailVl2Config, sailVl2 } from '../models/sail-vl2.ts'

/** Sizes of a batch: rows, tokens a row, pictures. */
export interface BatchSizes {
  readonly batch: number
  readonly length: number
  readonly tiles: number
}

/** A loss and its inputs. */
export interface Objective {
  readonly name: string
  /** Builds the loss at these sizes. */
  readonly loss: (model: SailVl2Config, sizes: BatchSizes) => MaskedLoss
  /** A batch as the loss's inputs. */
  readonly feed: (batch: Batch, model: SailVl2Config) => Readonly<Record<string, TensorValue>>
}

const ints = (data: Int32Array, ...shape: number[]): TensorValue => ({ shape, dtype: 'int32', data })

/** The pictures of a batch as a value. */
export const pictures = (b: Batch, side: number): TensorValue => ({
  shape: [b.tiles, 3, side, side],
  dtype: 'float32',
  data: b.pixel_values,
})

/** The pictures of a batch as an input. */
export const pictureInput = (model: SailVl2Config, tiles: number) => {
  const { channel, height, width } = vitAxes(model.vision)
  return input('pixel_values', [axis('tile', tiles), channel, height, width])
}

/**
 * Next-token loss on the assistant's text, given picture and question: alignment, pretraining and SFT
 * (SAIL-VL2 §2.1, §3.2, §4.2).
 *
 * @category objectives
 */
export const nextToken: Objective = {
  name: 'nextToken',
  loss: (model, s) => {
    const batch: Axis<'batch'> = axis('batch', s.batch)
    const token = axis('token', s.length)
    const ids = input('input_ids', [batch, token], 'int32')
    const logits = sailVl2(model, {
      token,
      ids,
      positions: input('position_ids', [batch, token], 'int32'),
      // padding is on the right, where no real token looks
      mask: causal(token),
      visualIndex: input('visual_index', [batch, token], 'int32'),
      pictures: pictureInput(model, s.tiles),
    })
    return nextTokenLoss(logits, input('labels', [batch, token], 'int32'))
  },
  feed: (b, model) => ({
    input_ids: ints(b.input_ids, b.batch, b.length),
    position_ids: ints(b.position_ids, b.batch, b.length),
    visual_index: ints(b.visual_index, b.batch, b.length),
    labels: ints(b.labels, b.batch, b.length),
    pixel_values: pictures(b, model.vision.imageSize),
  }),
}
