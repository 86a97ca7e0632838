/**
 * What a stage minimises: a loss as graph over a batch, and how a batch feeds it.
 *
 * @since 0.1.0
 */
import { type Batch, type Conversation, collate, collatePictures } from '../data/collate.ts'
import type { Labelled } from '../data/dense.ts'
import { centreClasses, patchClasses } from '../data/patches.ts'
import { hash32 } from '../data/random.ts'
import {
  add,
  applyTo,
  argmax,
  at,
  axis,
  cast,
  crossEntropy,
  equal,
  Ignored,
  input,
  linear,
  type MaskedLoss,
  type Tensor,
  total,
} from '../dsl/index.ts'
import { causal } from '../dsl/layers/attention.ts'
import type { TensorValue } from '../engine/session.ts'
import { qwen3 } from '../models/qwen3.ts'
import { sailVit, vitAxes } from '../models/sail-vit.ts'
import { nextLabels, type SailVl2Config, sailVl2 } from '../models/sail-vl2.ts'

/** Sizes of a batch: rows, tokens a row, pictures. */
export interface BatchSizes {
  readonly batch: number
  readonly length: number
  readonly tiles: number
}

/** A loss and its inputs. `E` is what a source gives: a conversation, a labelled picture. */
export interface Objective<E = Conversation> {
  readonly name: string
  /** Builds the loss, and what may be measured beside it, at these sizes. */
  readonly loss: (model: SailVl2Config, sizes: BatchSizes) => Measured
  /**
   * Examples as the loss's inputs. (A method, so that a list of stages over different examples has one type.)
   *
   * @throws CollateError where one does not fit, naming it
   */
  feed(examples: readonly E[], model: SailVl2Config, sizes: BatchSizes): Readonly<Record<string, TensorValue>>
}

/** A loss with the number of positions that it was taken over and that were predicted exactly. */
export interface Measured extends MaskedLoss {
  /** How many of the counted positions have their label as the likeliest, float32. */
  readonly hits: Tensor
}

/** Whole numbers as a value. */
export const ints = (data: Int32Array, ...shape: number[]): TensorValue => ({ shape, dtype: 'int32', data })

/** Normalised pixels as a value: `[tile, channel, height, width]`. */
export const pictures = (pixels: Float32Array, tiles: number, side: number): TensorValue => ({
  shape: [tiles, 3, side, side],
  dtype: 'float32',
  data: pixels,
})

/** The pictures of a batch as an input. */
export const pictureInput = (model: SailVl2Config, tiles: number) => {
  const { channel, height, width } = vitAxes(model.vision)
  return input('pixel_values', [axis('tile', tiles), channel, height, width])
}

const hitsOf = (logits: Tensor, labels: Tensor, axisName: string): Tensor =>
  total(cast(equal(argmax(logits, axisName), labels), 'float32'))

const tokenInputs = (s: BatchSizes) => {
  const batch = axis('batch', s.batch)
  const token = axis('token', s.length)
  const of = (name: string) => input(name, [batch, token], 'int32')
  // padding is on the right, where no real token looks
  return {
    token,
    ids: of('input_ids'),
    positions: of('position_ids'),
    labels: of('labels'),
    mask: causal(token),
    of,
  }
}

const scored = (logits: Tensor, labels: Tensor): Measured => {
  const shifted = nextLabels(labels)
  return { ...crossEntropy(logits, shifted, 'vocab'), hits: hitsOf(logits, shifted, 'vocab') }
}

const tokenFeeds = (b: Batch) => ({
  input_ids: ints(b.input_ids, b.batch, b.length),
  position_ids: ints(b.position_ids, b.batch, b.length),
  labels: ints(b.labels, b.batch, b.length),
})

/**
 * Next-token loss on the assistant's text, given picture and question: alignment, pretraining and SFT
 * (SAIL-VL2 §2.1, §3.2, §4.2).
 *
 * @category objectives
 */
export const nextToken: Objective = {
  name: 'nextToken',
  loss: (model, s) => {
    const x = tokenInputs(s)
    const logits = sailVl2(model, {
      ...x,
      visualIndex: x.of('visual_index'),
      pictures: pictureInput(model, s.tiles),
    })
    return scored(logits, x.labels)
  },
  feed: (conversations, model, s) => {
    const b = collate(conversations, { ...s, side: model.vision.imageSize })
    return {
      ...tokenFeeds(b),
      visual_index: ints(b.visual_index, b.batch, b.length),
      pixel_values: pictures(b.pixel_values, b.tiles, model.vision.imageSize),
    }
  },
}

/**
 * Next-token loss of the language model alone, on conversations without pictures.
 *
 * @category objectives
 */
export const textToken: Objective = {
  name: 'textToken',
  loss: (model, s) => {
    const x = tokenInputs(s)
    const logits = applyTo(at('language_model')(qwen3(model.language, x)), x.ids)
    return scored(logits, x.labels)
  },
  feed: (conversations, _model, s) => tokenFeeds(collate(conversations, { ...s, tiles: 1 })),
}

/**
 * What each patch shows, from two linear probes on the encoder: the thing that covers it, and the thing whose middle it
 * holds. Keys `probe.cover.*`, `probe.centre.*`.
 *
 * @param background share of the patches without anything that count; they are most of a picture and soon known
 * @category objectives
 */
export const patchLabels = (background: number): Objective<Labelled> => ({
  name: `patchLabels(background ${background})`,
  loss: (model, s) => {
    const { patch, vision } = vitAxes(model.vision)
    const tile = axis('tile', s.tiles)
    const tokens = sailVit(model.vision).apply(pictureInput(model, s.tiles))
    const probe = (name: string, classes: number): Measured => {
      const kind = axis('class', classes)
      const logits = at(`probe.${name}`)(linear(vision, kind)).apply(tokens)
      const labels = input(`${name}_labels`, [tile, patch], 'int32')
      return { ...crossEntropy(logits, labels, 'class'), hits: hitsOf(logits, labels, 'class') }
    }
    const [cover, centre] = [probe('cover', patchClasses.length), probe('centre', centreClasses.length)]
    return {
      mean: add(cover.mean, centre.mean),
      count: add(cover.count, centre.count),
      hits: add(cover.hits, centre.hits),
    }
  },
  feed: (examples, model, s) => {
    const side = model.vision.imageSize
    const b = collatePictures(examples, { tiles: s.tiles, side })
    const perTile = b.patch_labels.length / s.tiles
    const thinned = (labels: Int32Array): Int32Array =>
      labels.map((label, p) => {
        if (label !== 0) return label
        const tile = Math.floor(p / perTile)
        return (hash32(`${examples[tile]?.id ?? ''}/${p % perTile}`, 0xb9) % 1000) / 1000 < background
          ? 0
          : Ignored
      })
    return {
      pixel_values: pictures(b.pixel_values, b.tiles, side),
      cover_labels: ints(thinned(b.patch_labels), b.tiles, perTile),
      centre_labels: ints(thinned(b.patch_centres), b.tiles, perTile),
    }
  },
})
