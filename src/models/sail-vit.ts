/**
 * SAIL-ViT: the AIMv2 encoder (SAIL-VL2 §2.1; El-Nouby et al. 2024), at a fixed resolution or at any.
 *
 * Shapes: `[tile, channel, height, width]` → `[tile, patch, vision]`; 448 × 448 pixels give 32 × 32 patches. No class token.
 * At any resolution a packed row of patches, `[patch, channel, height, width]` of one patch's pixels → `[patch, vision]`.
 *
 * @since 0.1.0
 */
import { pipe } from 'fp-ts/lib/function.js'
import {
  type Axis,
  add,
  andThen,
  applyTo,
  at,
  axis,
  centred,
  everyKey,
  GraphError,
  input,
  type Layer,
  layer,
  learnedPositions,
  named,
  parameter,
  patchify,
  preNorm,
  type Rotations,
  repeat,
  reshape,
  rmsNorm,
  selfAttention,
  siteOf,
  swiGlu,
  type Tensor,
  truncatedNormal,
  xavierUniform,
} from '../dsl/index.ts'
import { onlySettings } from '../settings/index.ts'
import {
  type AnyResolution,
  gridRotations,
  type PatchPlaces,
  placesInput,
  resizedPositions,
  sameImage,
} from './any-resolution.ts'
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
  /**
   * Reads images of any size as packed patches; default: tiles of `imageSize`. Then `imageSize` is the size at which positions
   * are learned.
   */
  readonly anyResolution?: AnyResolution
}

const names: readonly (keyof SailVitConfig)[] = [
  ...(['imageSize', 'patchSize', 'hiddenSize', 'intermediateSize', 'layers', 'heads', 'epsilon'] as const),
  ...(['patchInit', 'anyResolution'] as const),
]

/** The configuration, with no setting that a SAIL-ViT has not. @throws SettingsError */
const checked = (c: SailVitConfig): SailVitConfig => {
  onlySettings('sailVit', c, names)
  if (c.anyResolution !== undefined)
    onlySettings('sailVit', c.anyResolution, ['positions', 'interpolation', 'ropeTheta'], 'anyResolution')
  return c
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
  height: axis('height', checked(c).imageSize),
  width: axis('width', c.imageSize),
  patch: axis('patch', (c.imageSize / c.patchSize) ** 2),
  vision: axis('vision', c.hiddenSize),
  hidden: axis('visionHidden', c.intermediateSize),
})

/** Patches and their norm. Keys `patchifier.*`. */
const patchifier = (
  c: SailVitConfig,
  sizes: Pick<VitAxes, 'height' | 'width' | 'patch'>,
): Layer<readonly ['channel', 'height', 'width'], readonly ['patch', 'vision']> => {
  const { channel, vision } = vitAxes(c)
  const pixels = channel.size * c.patchSize ** 2
  const init =
    c.patchInit === 'centred'
      ? centred(3 * Math.sqrt(6 / (pixels + vision.size)), pixels, 8)
      : xavierUniform(pixels, vision.size)
  return at('patchifier')(
    pipe(
      at('proj')(patchify({ channel, ...sizes, patchSize: c.patchSize, embed: vision, init })),
      andThen(at('norm')(rmsNorm(vision, c.epsilon))),
    ),
  )
}

/** Patches, their norm, and learned positions. Keys `preprocessor.*`. */
export const vitPreprocessor = (
  c: SailVitConfig,
): Layer<readonly ['channel', 'height', 'width'], readonly ['patch', 'vision']> => {
  const { height, width, patch, vision } = vitAxes(c)
  return pipe(
    patchifier(c, { height, width, patch }),
    andThen(at('pos_embed')(learnedPositions(patch, vision))),
    named('preprocessor'),
    at('preprocessor'),
  )
}

/** What attention in a packed row of patches needs. */
export interface PackedAttention {
  readonly patch: Axis<'patch'>
  readonly mask: Tensor
  readonly rotary?: Rotations
}

/** One pre-norm block: bidirectional attention, full or inside each image of a packed row, then SwiGLU. */
export const vitBlock = (
  c: SailVitConfig,
  packed?: PackedAttention,
): Layer<readonly ['patch', 'vision'], readonly ['patch', 'vision']> => {
  const { patch, vision: embed, hidden } = vitAxes(c)
  const attention = selfAttention({
    ...{ token: packed?.patch ?? patch, embed, heads: c.heads, fused: 'qkv', output: 'proj' },
    ...{ mask: packed?.mask, rotary: packed?.rotary },
  })
  const mlp = swiGlu(embed, hidden, { gate: 'fc1', up: 'fc3', down: 'fc2' })
  return pipe(
    preNorm(at('norm_1')(rmsNorm(embed, c.epsilon)), at('attn')(attention)),
    andThen(preNorm(at('norm_2')(rmsNorm(embed, c.epsilon)), at('mlp')(mlp))),
    named('block'),
  )
}

/** The blocks and the last norm. Keys `trunk.*`. */
const trunk = (
  c: SailVitConfig,
  packed?: PackedAttention,
): Layer<readonly ['patch', 'vision'], readonly ['patch', 'vision']> =>
  at('trunk')(
    pipe(
      at('blocks')(repeat(c.layers, vitBlock(c, packed))),
      andThen(at('post_trunk_norm')(rmsNorm(vitAxes(c).vision, c.epsilon))),
    ),
  )

/**
 * The encoder of tiles. Keys under `vision_model`: `preprocessor.patchifier.{proj,norm}`, `preprocessor.pos_embed`,
 * `trunk.blocks.<i>.{norm_1,attn.qkv,attn.proj,norm_2,mlp.fc1,mlp.fc2,mlp.fc3}`, `trunk.post_trunk_norm`.
 *
 * @throws GraphError `BadArgument` where the configuration is of any resolution: {@link sailVitPacked} is its encoder
 * @category models
 */
export const sailVit = (
  c: SailVitConfig,
): Layer<readonly ['channel', 'height', 'width'], readonly ['patch', 'vision']> => {
  if (checked(c).anyResolution !== undefined)
    throw new GraphError(
      'BadArgument',
      'sailVit: the configuration is of any resolution and reads packed patches; use sailVitPacked',
      siteOf(sailVit),
    )
  return pipe(vitPreprocessor(c), andThen(trunk(c)), named('sailVit'), at('vision_model'))
}

/** Adds the learned positions, resized to each image's grid. The parameter is that of the fixed resolution. */
const resizedLearned = (
  c: SailVitConfig,
  any: AnyResolution,
  places: PatchPlaces,
  patch: Axis<'patch'>,
): Layer<readonly ['patch', 'vision'], readonly ['patch', 'vision']> => {
  const { patch: position, vision } = vitAxes(c)
  const side = c.imageSize / c.patchSize
  return layer('learnedPositions', [patch, vision], (x, path) => {
    const table = parameter(path, [axis(' one', 1), position, vision], truncatedNormal(0.02))
    const grid = reshape(table, [axis('gridRow', side), axis('gridColumn', side), vision])
    return add(x, resizedPositions(grid, places, any.interpolation))
  })
}

/**
 * The encoder of any resolution: the patches of images of any sizes in one packed row, `[patch, channel, height, width]` of
 * one patch's pixels. What a patch sees is its own image: the row gives what its images give one by one. Keys are those of
 * {@link sailVit}, without `pos_embed` where positions are rotary alone.
 *
 * @param places where each patch is; their axis is that of the row
 * @throws GraphError `BadArgument` where the configuration is not of any resolution; `BadShape` where rotary positions do
 *   not divide a head
 * @category models
 */
export const sailVitPacked = (
  c: SailVitConfig,
  places: PatchPlaces,
): Layer<readonly ['patch', 'channel', 'height', 'width'], readonly ['patch', 'vision']> => {
  const any = checked(c).anyResolution
  if (any === undefined)
    throw new GraphError(
      'BadArgument',
      'sailVitPacked: the configuration is of one resolution; give it anyResolution, or use sailVit',
      siteOf(sailVitPacked),
    )
  const { channel, vision } = vitAxes(c)
  const patch = axis('patch', places.image.axes[0]!.size)
  const [height, width] = [axis('height', c.patchSize), axis('width', c.patchSize)]
  const one = axis('patch', 1)
  const embedded = layer<
    readonly [typeof patch, typeof channel, typeof height, typeof width],
    readonly ['patch', 'vision']
  >('patches', [patch, channel, height, width], (x, path) => {
    // a patch is an image of one patch
    const each = applyTo(
      patchifier(c, { height, width, patch: one }),
      reshape(x, [axis('packed', patch.size), channel, height, width]),
      path,
    )
    return reshape(each, [patch, vision])
  })
  const placed =
    any.positions === 'rotary'
      ? embedded
      : pipe(embedded, andThen(at('pos_embed')(resizedLearned(c, any, places, patch))))
  const rotary =
    any.positions === 'learned'
      ? undefined
      : gridRotations(places, axis('headDim', c.hiddenSize / c.heads), any.ropeTheta)
  return pipe(
    at('preprocessor')(named('preprocessor')(placed)),
    andThen(trunk(c, { patch, mask: sameImage(places), rotary })),
    named('sailVit'),
    at('vision_model'),
  )
}

/**
 * An encoder under a name. Its one part is `vision`: all of it.
 *
 * @category models
 */
export const sailVitModel = (name: string, c: SailVitConfig): Model => {
  checked(c)
  return {
    name,
    config: { kind: 'sail-vit', ...c },
    parts: { vision: { ...everyKey, name: 'vision' } },
    graph: ({ batch = 1 } = {}) => {
      const { channel, height, width, patch } = vitAxes(c)
      if (c.anyResolution !== undefined) {
        const packed = axis('patch', batch * patch.size)
        const [y, x] = [axis('height', c.patchSize), axis('width', c.patchSize)]
        const pixels = input('pixel_values', [packed, channel, y, x])
        return applyTo(sailVitPacked(c, placesInput(packed)), pixels)
      }
      return applyTo(sailVit(c), input('pixel_values', [axis('tile', batch), channel, height, width]))
    },
  }
}
