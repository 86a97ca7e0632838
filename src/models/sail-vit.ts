/**
 * SAIL-ViT: the AIMv2 encoder at a fixed resolution (SAIL-VL2 §2.1; El-Nouby et al. 2024).
 *
 * Shapes: `[tile, channel, height, width]` → `[tile, patch, vision]`; 448 × 448 pixels give 32 × 32 patches. No class token.
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
  centred,
  everyKey,
  input,
  type Layer,
  learnedPositions,
  named,
  patchify,
  preNorm,
  repeat,
  rmsNorm,
  selfAttention,
  swiGlu,
  xavierUniform,
} from '../dsl/index.ts'
import type { Model } from './model.ts'

/** What a SAIL-ViT is, in the words of its `config.json`. */
export interface SailVitConfig {
  readonly imageSize: number
  readonly patchSize: number
  readonly hiddenSize: number
  readonly intermediateSize: number
  readonly layers: number
  readonly heads: number
  /** 1e-5 in AIMv2. */
  readonly epsilon: number
  /**
   * How the patch filters of a fresh encoder begin: as AIMv2's (`xavier`, the default), or three times as large and seven
   * in eight of them with mean 0 (`centred`), so that strokes are not drowned by the ground's colour before the first norm.
   */
  readonly patchInit?: 'xavier' | 'centred'
}

/** The axes of a SAIL-ViT. */
export interface VitAxes {
  readonly channel: Axis<'channel'>
  readonly height: Axis<'height'>
  readonly width: Axis<'width'>
  /** Patches of one tile, row-major. */
  readonly patch: Axis<'patch'>
  readonly vision: Axis<'vision'>
  readonly hidden: Axis<'visionHidden'>
}

/** The axes that a configuration implies. */
export const vitAxes = (c: SailVitConfig): VitAxes => ({
  channel: axis('channel', 3),
  height: axis('height', c.imageSize),
  width: axis('width', c.imageSize),
  patch: axis('patch', (c.imageSize / c.patchSize) ** 2),
  vision: axis('vision', c.hiddenSize),
  hidden: axis('visionHidden', c.intermediateSize),
})

/** Patches, their norm, and learned positions. Keys `preprocessor.*`. */
export const vitPreprocessor = (
  c: SailVitConfig,
): Layer<readonly ['channel', 'height', 'width'], readonly ['patch', 'vision']> => {
  const { channel, height, width, patch, vision } = vitAxes(c)
  const pixels = channel.size * c.patchSize ** 2
  const init =
    c.patchInit === 'centred'
      ? centred(3 * Math.sqrt(6 / (pixels + vision.size)), pixels, 8)
      : xavierUniform(pixels, vision.size)
  return pipe(
    at('patchifier.proj')(
      patchify({ channel, height, width, patchSize: c.patchSize, patch, embed: vision, init }),
    ),
    andThen(at('patchifier.norm')(rmsNorm(vision, c.epsilon))),
    andThen(at('pos_embed')(learnedPositions(patch, vision))),
    named('preprocessor'),
    at('preprocessor'),
  )
}

/** One pre-norm block: full bidirectional attention, then SwiGLU. */
export const vitBlock = (
  c: SailVitConfig,
): Layer<readonly ['patch', 'vision'], readonly ['patch', 'vision']> => {
  const { patch: token, vision: embed, hidden } = vitAxes(c)
  const attention = selfAttention({ token, embed, heads: c.heads, fused: 'qkv', output: 'proj' })
  const mlp = swiGlu(embed, hidden, { gate: 'fc1', up: 'fc3', down: 'fc2' })
  return pipe(
    preNorm(at('norm_1')(rmsNorm(embed, c.epsilon)), at('attn')(attention)),
    andThen(preNorm(at('norm_2')(rmsNorm(embed, c.epsilon)), at('mlp')(mlp))),
    named('block'),
  )
}

/**
 * The encoder. Keys under `vision_model`: `preprocessor.patchifier.{proj,norm}`, `preprocessor.pos_embed`,
 * `trunk.blocks.<i>.{norm_1,attn.qkv,attn.proj,norm_2,mlp.fc1,mlp.fc2,mlp.fc3}`, `trunk.post_trunk_norm`.
 *
 * @category models
 */
export const sailVit = (
  c: SailVitConfig,
): Layer<readonly ['channel', 'height', 'width'], readonly ['patch', 'vision']> =>
  pipe(
    vitPreprocessor(c),
    andThen(at('trunk.blocks')(repeat(c.layers, vitBlock(c)))),
    andThen(at('trunk.post_trunk_norm')(rmsNorm(vitAxes(c).vision, c.epsilon))),
    named('sailVit'),
    at('vision_model'),
  )

/**
 * An encoder under a name. Its one part is `vision`: all of it.
 *
 * @category models
 */
export const sailVitModel = (name: string, c: SailVitConfig): Model => ({
  name,
  config: { kind: 'sail-vit', ...c },
  parts: { vision: { ...everyKey, name: 'vision' } },
  graph: ({ batch = 1 } = {}) => {
    const { channel, height, width } = vitAxes(c)
    return applyTo(sailVit(c), input('pixel_values', [axis('tile', batch), channel, height, width]))
  },
})
