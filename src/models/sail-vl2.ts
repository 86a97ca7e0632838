/**
 * SAIL-VL2 (arXiv 2509.14033 §2): SAIL-ViT, the adapter and Qwen3 joined. Visual tokens take the places of
 * `<IMG_CONTEXT>` in the text.
 *
 * Shapes: images `[tile, channel, height, width]`, ids `[batch, token]` → logits `[batch, token, vocab]`.
 *
 * @since 0.1.0
 */
import { pipe } from 'fp-ts/lib/function.js'
import {
  type Axis,
  andThen,
  applyTo,
  at,
  axis,
  causal,
  concat,
  constant,
  crossEntropy,
  gather,
  greaterEqual,
  Ignored,
  input,
  keys,
  type MaskedLoss,
  maximum,
  merge,
  type PixelShuffleOrder,
  select,
  slice,
  type Tensor,
} from '../dsl/index.ts'
import { type AdapterConfig, adapter, visualAxis } from './adapter.ts'
import type { CausalLm } from './model.ts'
import { activeShare } from './moe-config.ts'
import { type Qwen3Config, type Qwen3Context, qwen3Decoder, qwen3Embedding, qwen3Head } from './qwen3.ts'
import { type SailVitConfig, sailVit, vitAxes } from './sail-vit.ts'

/** A vision-language model. */
export interface SailVl2Config {
  readonly vision: SailVitConfig
  readonly language: Qwen3Config
  /** Token order of the pixel shuffle; default `v2`. */
  readonly order?: PixelShuffleOrder
}

/** The adapter that a configuration implies. */
export const adapterOf = (c: SailVl2Config): AdapterConfig => ({
  patches: vitAxes(c.vision).patch.size,
  visionSize: c.vision.hiddenSize,
  embedSize: c.language.hiddenSize,
  ...(c.order === undefined ? {} : { order: c.order }),
})

/** Visual tokens of one tile: 256 at 448 × 448. */
export const visualTokens = (c: SailVl2Config): number => visualAxis(adapterOf(c)).size

/** What the model reads. */
export interface SailVl2Inputs extends Qwen3Context {
  /** int32 `[batch, token]`. */
  readonly ids: Tensor
  /** float32 `[tile, channel, height, width]`, normalised. */
  readonly images: Tensor
  /**
   * int32 `[batch, token]`: for each position the row among the visual tokens of all tiles (`tile · visual + place`) that
   * stands there, or −1 for text.
   */
  readonly visualIndex: Tensor
}

/** Images to visual tokens in the language model's space: `[tile, visual, embed]`. */
export const encodeImages = (c: SailVl2Config, images: Tensor): Tensor =>
  applyTo(pipe(sailVit(c.vision), andThen(adapter(adapterOf(c)))), images)

/** Text vectors with the visual tokens in their places: `[batch, token, embed]`. */
export const mergeImageFeatures = (
  c: SailVl2Config,
  visual: Tensor,
  ids: Tensor,
  visualIndex: Tensor,
): Tensor => {
  const tiles = visual.axes.find((a) => a.name === 'tile')?.size ?? 1
  const all: Axis = axis('visualToken', tiles * visualTokens(c))
  const rows = merge(visual, ['tile', 'visual'], all)
  const text = applyTo(qwen3Embedding(c.language), ids, 'language_model')
  return select(greaterEqual(visualIndex, 0), gather(rows, maximum(visualIndex, 0)), text)
}

/** The residual stream after the decoder: `[batch, token, embed]`. Keys `vision_model.*`, `mlp1.*`, `language_model.*`. */
export const sailVl2Hidden = (c: SailVl2Config, x: SailVl2Inputs): Tensor =>
  hiddenFrom(c, encodeImages(c, x.images), x)

const hiddenFrom = (c: SailVl2Config, visual: Tensor, x: Omit<SailVl2Inputs, 'images'>): Tensor =>
  applyTo(
    at('language_model')(qwen3Decoder(c.language, x)),
    mergeImageFeatures(c, visual, x.ids, x.visualIndex),
  )

/**
 * The language model alone, reading visual tokens that something else than the encoder and the adapter made: logits
 * `[batch, token, vocab]`.
 *
 * @param visual float32 `[tile, visual, embed]`
 * @category models
 */
export const sailVl2From = (c: SailVl2Config, visual: Tensor, x: Omit<SailVl2Inputs, 'images'>): Tensor =>
  applyTo(at('language_model')(qwen3Head(c.language)), hiddenFrom(c, visual, x))

/**
 * The whole model: images and ids to logits `[batch, token, vocab]`.
 *
 * @category models
 */
export const sailVl2 = (c: SailVl2Config, x: SailVl2Inputs): Tensor =>
  sailVl2From(c, encodeImages(c, x.images), x)

/** The parts of a SAIL-VL2 by the prefix of their keys. */
export const sailVl2Parts = {
  vision: keys('vision', 'vision_model.**'),
  adapter: keys('adapter', 'mlp1.**'),
  language: keys('language', 'language_model.**'),
} as const

/** A SAIL-VL2 as a value for trainers and evaluations. */
export interface SailVl2Model extends CausalLm {
  readonly parts: typeof sailVl2Parts
  readonly image: { readonly size: number; readonly tokens: number }
}

/**
 * SAIL-VL2 under a name.
 *
 * @category models
 */
export const sailVl2Model = (name: string, c: SailVl2Config): SailVl2Model => ({
  name,
  config: { kind: 'sail-vl2', ...c },
  parts: sailVl2Parts,
  vocabSize: c.language.vocabSize,
  image: { size: c.vision.imageSize, tokens: visualTokens(c) },
  ...(c.language.moe === undefined
    ? {}
    : { experts: c.language.moe, activeShare: activeShare(c.language.moe) }),
  embed: (ids, images) =>
    images === undefined
      ? applyTo(qwen3Embedding(c.language), ids, 'language_model')
      : mergeImageFeatures(c, encodeImages(c, images.pixels), ids, images.visualIndex),
  decode: (embedded, context) => applyTo(at('language_model')(qwen3Decoder(c.language, context)), embedded),
  head: (hidden) => applyTo(at('language_model')(qwen3Head(c.language)), hidden),
  graph: ({ batch: rows = 1, tokens = 64 + visualTokens(c) } = {}) => {
    const { channel, height, width } = vitAxes(c.vision)
    const [batch, token] = [axis('batch', rows), axis('token', tokens)]
    const of = (input_: string): Tensor => input(input_, [batch, token], 'int32')
    return sailVl2(c, {
      token,
      positions: of('position_ids'),
      mask: causal(token),
      ids: of('input_ids'),
      visualIndex: of('visual_index'),
      images: input('pixel_values', [axis('tile', rows), channel, height, width]),
    })
  },
})

/**
 * Labels moved to where they are predicted: position t gets the label of t + 1, the last one none.
 *
 * @param labels int32 `[…, token]`
 */
export const nextLabels = (labels: Tensor): Tensor => {
  const token = labels.axes.find((a) => a.name === 'token')
  if (token === undefined) return labels
  const rows = labels.axes.filter((a) => a.name !== 'token')
  const none: Tensor = constant(new Int32Array(rows.reduce((n, a) => n * a.size, 1)).fill(Ignored), [
    ...rows,
    axis('token', 1),
  ])
  return token.size === 1 ? none : concat([slice(labels, 'token', 1, token.size - 1), none], 'token')
}

/**
 * Mean next-token loss in nats over the positions whose label is not −100.
 *
 * @param logits `[batch, token, vocab]`
 * @param labels int32 `[batch, token]`, aligned with the ids: the label of a position is its own token, and the logits of
 *   the position before are scored against it
 * @category losses
 */
export const nextTokenLoss = (logits: Tensor, labels: Tensor): MaskedLoss =>
  crossEntropy(logits, nextLabels(labels), 'vocab')
