/**
 * What a stage minimises: a loss as graph over a batch, and how a batch feeds it.
 *
 * @since 0.1.0
 */
import {
  type Batch,
  CollateError,
  type Conversation,
  collate,
  collatePictures,
  type PictureBatch,
} from '../data/collate.ts'
import {
  add,
  and,
  applyTo,
  argmax,
  at,
  axis,
  cast,
  crossEntropy,
  embedding,
  equal,
  Ignored,
  input,
  less,
  lessEqual,
  linear,
  type MaskedLoss,
  sum,
  type Tensor,
  total,
} from '../dsl/index.ts'
import { causal } from '../dsl/layers/attention.ts'
import type { TensorValue } from '../engine/session.ts'
import { visualAxis } from '../models/adapter.ts'
import { embedAxis, qwen3 } from '../models/qwen3.ts'
import { sailVit, vitAxes } from '../models/sail-vit.ts'
import { adapterOf, nextLabels, type SailVl2Config, sailVl2, sailVl2From } from '../models/sail-vl2.ts'
import { hash32 } from '../random/index.ts'
import type { Labelled } from '../tasks/dense.ts'
import { centreClasses, cornerOf, patchClasses } from '../tasks/patches.ts'

/** Sizes of a batch: rows, tokens a row, pictures. */
export interface BatchSizes {
  readonly batch: number
  readonly length: number
  readonly tiles: number
}

/** A loss and its inputs. `E` is what a source gives: a conversation, a labelled picture. */
export interface Objective<E = Conversation> {
  readonly name: string
  /** What the loss is counted in; default `nats`. */
  readonly unit?: string
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
  /** How many rows (conversations, pictures) have a counted position, float32. */
  readonly rows: Tensor
  /** How many of those rows have every counted position's label as the likeliest: greedy decoding would write it, float32. */
  readonly wholeHits: Tensor
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

/**
 * Cross-entropies over `[row, …]`, added up, and what was predicted exactly. A row is whole where each head has predicted
 * all of it.
 */
const measured = (axisName: string, ...heads: readonly { logits: Tensor; labels: Tensor }[]): Measured => {
  const losses = heads.map((h) => crossEntropy(h.logits, h.labels, axisName))
  const hits = heads.map((h) => cast(equal(argmax(h.logits, axisName), h.labels), 'float32'))
  const counted = heads.map((h) => cast(lessEqual(0, h.labels), 'float32'))
  const aRow = (each: readonly Tensor[]): Tensor =>
    each.map((t): Tensor => sum(t, ...t.names.slice(1))).reduce((a, b) => add(a, b))
  const [rowHits, rowCounts] = [aRow(hits), aRow(counted)]
  const some = less(0, rowCounts)
  return {
    mean: losses.map((l) => l.mean).reduce((a, b) => add(a, b)),
    count: losses.map((l) => l.count).reduce((a, b) => add(a, b)),
    hits: total(rowHits),
    rows: total(cast(some, 'float32')),
    wholeHits: total(cast(and(some, equal(rowHits, rowCounts)), 'float32')),
  }
}

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

const scored = (logits: Tensor, labels: Tensor): Measured =>
  measured('vocab', { logits, labels: nextLabels(labels) })

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
  unit: 'nats per token',
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
    const undrawn = conversations.find((c) => c.scene !== undefined)
    if (undrawn !== undefined)
      throw new CollateError(
        'BadPicture',
        undrawn.id,
        `sample ${undrawn.id} has a scene's labels and no picture; train on it with sceneToken, or draw it`,
      )
    const b = collate(conversations, { ...s, side: model.vision.imageSize })
    return {
      ...tokenFeeds(b),
      visual_index: ints(b.visual_index, b.batch, b.length),
      pixel_values: pictures(b.pixel_values, b.tiles, model.vision.imageSize),
    }
  },
}

/** The rows of the scene table that each visual token of labelled tiles adds up, one a corner: int32 `[tile, visual, 4]`. */
const sceneRows = (b: PictureBatch, visual: number): Int32Array => {
  const out = new Int32Array(b.tiles * visual * 4)
  b.patch_centres.forEach((centre, p) => {
    const { token, corner } = cornerOf(p % (4 * visual))
    const at = Math.floor(p / (4 * visual)) * visual + token
    out[at * 4 + corner] = corner * centreClasses.length + Math.max(0, centre)
  })
  return out
}

/**
 * Next-token loss of the language model on conversations whose pictures were never drawn: in place of the encoder and the
 * adapter, each visual token is the sum of four rows of a table, one for what has its middle in each of the token's
 * patches (`centreClasses`). The table, key `probe.scene.weight`, is thrown away; what stays is a language model that can
 * use visual tokens, to which an adapter only has to translate.
 *
 * @category objectives
 */
export const sceneToken: Objective = {
  name: 'sceneToken',
  unit: 'nats per token',
  loss: (model, s) => {
    const x = tokenInputs(s)
    const visual = visualAxis(adapterOf(model))
    const scene = input('scene', [axis('tile', s.tiles), visual, axis('corner', 4)], 'int32')
    const label = axis('label', 4 * centreClasses.length)
    const rows: Tensor = applyTo(at('probe.scene')(embedding(label, embedAxis(model.language))), scene)
    return scored(
      sailVl2From(model, sum(rows, 'corner'), { ...x, visualIndex: x.of('visual_index') }),
      x.labels,
    )
  },
  feed: (conversations, model, s) => {
    const b = collate(conversations, { ...s, side: model.vision.imageSize })
    const { size } = visualAxis(adapterOf(model))
    return {
      ...tokenFeeds(b),
      visual_index: ints(b.visual_index, b.batch, b.length),
      scene: ints(sceneRows(b, size), s.tiles, size, 4),
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
  unit: 'nats per token',
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
  unit: 'nats per patch',
  loss: (model, s) => {
    const { patch, vision } = vitAxes(model.vision)
    const tile = axis('tile', s.tiles)
    const tokens = sailVit(model.vision).apply(pictureInput(model, s.tiles))
    const probe = (name: string, classes: number) => {
      const kind = axis('class', classes)
      const logits = at(`probe.${name}`)(linear(vision, kind)).apply(tokens)
      return { logits, labels: input(`${name}_labels`, [tile, patch], 'int32') }
    }
    return measured('class', probe('cover', patchClasses.length), probe('centre', centreClasses.length))
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
