/**
 * SAIL-VL2 (arXiv 2509.14033 §2): SAIL-ViT, the adapter and Qwen3 joined. Visual tokens take the places of
 * `<IMG_CONTEXT>` in the text.
 *
 * Shapes: images `[tile, channel, height, width]`, ids `[batch, token]` → logits `[batch, token, vocab]`. With an encoder of any
 * resolution (SAIL-VL2-AnyRes) images are a packed row of patches, `[patch, channel, height, width]`.
 *
 * @since 0.1.0
 */
import { pipe } from 'fp-ts/lib/function.js'
import {
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
  type PixelShuffleOrder,
  reshape,
  select,
  slice,
  type Tensor,
} from '../dsl/index.ts'
import { kindOf, onlySettings, SettingsError } from '../settings/index.ts'
import { type AdapterConfig, adapter, packedAdapter, visualAxis } from './adapter.ts'
import { type PatchPlaces, placesInput } from './any-resolution.ts'
import { type CausalLm, type ImageSizes, type TileGrids, withoutKind } from './model.ts'
import { activeShare } from './moe-config.ts'
import { type Qwen3Config, type Qwen3Context, qwen3Decoder, qwen3Embedding, qwen3Head } from './qwen3.ts'
import { type SailVitConfig, sailVit, sailVitPacked, vitAxes } from './sail-vit.ts'

/** A vision-language model. */
export interface SailVl2Config {
  readonly vision: SailVitConfig
  readonly language: Qwen3Config
  /** Token order of the pixel shuffle; default `v2`. */
  readonly order?: PixelShuffleOrder
  /** Into which grids of tiles it sees an image cut; default: an image is one tile. Nothing of its graph. */
  readonly tiling?: TileGrids
}

/** The configuration, with no setting that a SAIL-VL2 has not. @throws SettingsError */
const checked = (c: SailVl2Config): SailVl2Config => {
  onlySettings('sailVl2', withoutKind(c, 'sail-vl2'), ['vision', 'language', 'order', 'tiling'])
  for (const part of ['vision', 'language'] as const)
    if (kindOf(c[part]) !== 'a record')
      throw new SettingsError('sailVl2', part, `it is ${kindOf(c[part])}; give its configuration`)
  if (c.tiling !== undefined) onlySettings('sailVl2', c.tiling, ['least', 'most', 'thumbnail'], 'tiling')
  return c
}

/** The adapter that a configuration implies. */
export const adapterOf = (c: SailVl2Config): AdapterConfig => ({
  patches: vitAxes(checked(c).vision).patch.size,
  visionSize: c.vision.hiddenSize,
  embedSize: c.language.hiddenSize,
  order: c.order,
})

/** Visual tokens of an image of the encoder's own size: 256 at 448 × 448. */
export const visualTokens = (c: SailVl2Config): number => visualAxis(adapterOf(c)).size

/** What the model reads. */
export interface SailVl2Inputs extends Qwen3Context {
  /** int32 `[batch, token]`. */
  readonly ids: Tensor
  /** float32 `[tile, channel, height, width]`, normalised; of any resolution `[patch, channel, height, width]`. */
  readonly images: Tensor
  /** Where each patch is, where the encoder is of any resolution. */
  readonly places?: PatchPlaces
  /**
   * int32 `[batch, token]`: for each position the row among the visual tokens of all tiles (`tile · visual + place`) that
   * stands there, or −1 for text.
   */
  readonly visualIndex: Tensor
}

/**
 * Images to visual tokens in the language model's space: `[tile, visual, embed]`, of packed patches `[visual, embed]`.
 *
 * @param places where each patch is, for an encoder of any resolution
 * @throws GraphError `BadArgument` where there are places and the encoder is of one resolution, or none and it is of any
 */
export const encodeImages = (c: SailVl2Config, images: Tensor, places?: PatchPlaces): Tensor => {
  checked(c)
  if (places === undefined) return applyTo(pipe(sailVit(c.vision), andThen(adapter(adapterOf(c)))), images)
  const patches = places.image.axes[0]!.size
  return applyTo(
    pipe(sailVitPacked(c.vision, places), andThen(packedAdapter({ ...adapterOf(c), patches }))),
    images,
  )
}

/** Text vectors with the visual tokens (`[tile, visual, embed]` or `[visual, embed]`) in their places: `[batch, token, embed]`. */
export const mergeImageFeatures = (
  c: SailVl2Config,
  visual: Tensor,
  ids: Tensor,
  visualIndex: Tensor,
): Tensor => {
  checked(c)
  const [embed] = visual.axes.slice(-1)
  const count = visual.axes.slice(0, -1).reduce((n, a) => n * a.size, 1)
  const rows = reshape(visual, [axis('visualToken', count), embed!])
  const text = applyTo(qwen3Embedding(c.language), ids, 'language_model')
  return select(greaterEqual(visualIndex, 0), gather(rows, maximum(visualIndex, 0)), text)
}

/** The residual stream after the decoder: `[batch, token, embed]`. */
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
  applyTo(at('language_model')(qwen3Head(checked(c).language)), hiddenFrom(c, visual, x))

/**
 * The whole model: images and ids to logits `[batch, token, vocab]`.
 *
 * @category models
 */
export const sailVl2 = (c: SailVl2Config, x: SailVl2Inputs): Tensor =>
  sailVl2From(c, encodeImages(c, x.images, x.places), x)

/** The parts of a SAIL-VL2 by the prefix of their keys. */
export const sailVl2Parts = {
  vision: keys('vision', 'vision_model.**'),
  adapter: keys('adapter', 'mlp1.**'),
  language: keys('language', 'language_model.**'),
} as const

/** A SAIL-VL2 as a value for trainers and evaluations. */
export interface SailVl2Model extends CausalLm {
  readonly parts: typeof sailVl2Parts
  readonly image: ImageSizes
}

/** What it reads of images: tiles, or squares of 2 × 2 patches. */
const imageSizes = (c: SailVl2Config): ImageSizes =>
  c.vision.anyResolution === undefined
    ? { size: c.vision.imageSize, tokens: visualTokens(c), ...(c.tiling && { tiling: c.tiling }) }
    : { size: 2 * c.vision.patchSize, tokens: 1, patchSize: c.vision.patchSize }

/**
 * SAIL-VL2 under a name.
 *
 * @category models
 */
export const sailVl2Model = (name: string, c: SailVl2Config): SailVl2Model => {
  checked(c)
  return {
    name,
    config: { kind: 'sail-vl2', ...c },
    parts: sailVl2Parts,
    vocabSize: c.language.vocabSize,
    image: imageSizes(c),
    experts: c.language.moe,
    activeShare: c.language.moe && activeShare(c.language.moe),
    embed: (ids, images) =>
      images === undefined
        ? applyTo(qwen3Embedding(c.language), ids, 'language_model')
        : mergeImageFeatures(c, encodeImages(c, images.pixels, images.places), ids, images.visualIndex),
    decode: (embedded, context) => applyTo(at('language_model')(qwen3Decoder(c.language, context)), embedded),
    head: (hidden) => applyTo(at('language_model')(qwen3Head(c.language)), hidden),
    graph: ({ batch: rows = 1, tokens = 64 + visualTokens(c) } = {}) => {
      const [batch, token] = [axis('batch', rows), axis('token', tokens)]
      const of = (input_: string): Tensor => input(input_, [batch, token], 'int32')
      return sailVl2(c, {
        token,
        positions: of('position_ids'),
        mask: causal(token),
        ids: of('input_ids'),
        visualIndex: of('visual_index'),
        ...imagesInput(c, rows),
      })
    },
  }
}

/** The images of a forward graph as inputs: one of the encoder's own size a row. */
const imagesInput = (c: SailVl2Config, rows: number): Pick<SailVl2Inputs, 'images' | 'places'> => {
  const { channel, height, width, patch } = vitAxes(c.vision)
  if (c.vision.anyResolution === undefined)
    return { images: input('pixel_values', [axis('tile', rows), channel, height, width]) }
  const packed = axis('patch', rows * patch.size)
  const [y, x] = [axis('height', c.vision.patchSize), axis('width', c.vision.patchSize)]
  return { images: input('pixel_values', [packed, channel, y, x]), places: placesInput(packed) }
}

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
