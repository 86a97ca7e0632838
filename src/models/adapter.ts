/**
 * The adapter between the vision encoder and the language model (SAIL-VL2 §2.1, §5.1): a 2 × 2 pixel shuffle, then a
 * two-layer perceptron.
 *
 * Shapes: `[tile, patch, vision]` → `[tile, visual, embed]`, a quarter as many tokens.
 *
 * @since 0.1.0
 */
import { pipe } from 'fp-ts/lib/function.js'
import {
  type Axis,
  andThen,
  at,
  axis,
  gelu,
  type Layer,
  layerNorm,
  linear,
  named,
  type PixelShuffleOrder,
  pixelShuffle,
} from '../dsl/index.ts'

/** What an adapter joins. */
export interface AdapterConfig {
  /** Patches of one tile. */
  readonly patches: number
  readonly visionSize: number
  readonly embedSize: number
  /** Token order; default `v2` (row-major). */
  readonly order?: PixelShuffleOrder
}

/** Visual tokens of one tile. */
export const visualAxis = (c: AdapterConfig): Axis<'visual'> => axis('visual', c.patches / 4)

/**
 * Pixel shuffle, LayerNorm, Linear, GELU (erf), Linear, all with biases. Keys `mlp1.0`, `mlp1.1`, `mlp1.3`.
 *
 * @category models
 */
export const adapter = (
  c: AdapterConfig,
): Layer<readonly ['patch', 'vision'], readonly ['visual', 'embed']> => {
  const folded = axis('folded', 4 * c.visionSize)
  const embed = axis('embed', c.embedSize)
  return pipe(
    pixelShuffle(axis('patch', c.patches), axis('vision', c.visionSize), visualAxis(c), folded, 2, c.order),
    andThen(at('0')(layerNorm(folded, 1e-5))),
    andThen(at('1')(linear(folded, embed))),
    andThen(gelu),
    andThen(at('3')(linear(embed, embed))),
    named('adapter'),
    at('mlp1'),
  )
}
