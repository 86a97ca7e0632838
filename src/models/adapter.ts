/**
 * The adapter between the vision encoder and the language model (SAIL-VL2 §2.1, §5.1): a 2 × 2 pixel shuffle, then a
 * two-layer perceptron.
 *
 * Shapes: `[tile, patch, vision]` → `[tile, visual, embed]`, a quarter as many tokens; of a packed row of patches
 * `[patch, vision]` → `[visual, embed]`.
 *
 * @since 0.1.0
 */
import { pipe } from 'fp-ts/lib/function.js'
import {
  type Axis,
  andThen,
  at,
  axis,
  GraphError,
  gelu,
  type Layer,
  layer,
  layerNorm,
  linear,
  named,
  type PixelShuffleOrder,
  pixelShuffle,
  reshape,
  siteOf,
} from '../dsl/index.ts'
import { onlySettings } from '../settings/index.ts'

/** What an adapter joins. */
export interface AdapterConfig {
  /** Patches of one tile. */
  readonly patches: number
  readonly visionSize: number
  readonly embedSize: number
  /** Token order; default `v2` (row-major). */
  readonly order?: PixelShuffleOrder
}

const checked = (c: AdapterConfig): AdapterConfig =>
  onlySettings('adapter', c, ['patches', 'visionSize', 'embedSize', 'order'])
/** Visual tokens of one tile. */
export const visualAxis = (c: AdapterConfig): Axis<'visual'> => axis('visual', checked(c).patches / 4)

type AdapterSizes = Pick<AdapterConfig, 'visionSize' | 'embedSize'>

const foldedAxis = (c: AdapterSizes): Axis<'folded'> => axis('folded', 4 * c.visionSize)

/** The two-layer perceptron behind the folding of patches. Keys `0`, `1`, `3`. */
const perceptron = (c: AdapterSizes): Layer<readonly ['folded'], readonly ['embed']> => {
  const [folded, embed] = [foldedAxis(c), axis('embed', c.embedSize)]
  return pipe(
    at('0')(layerNorm(folded, 1e-5)),
    andThen(at('1')(linear(folded, embed))),
    andThen(gelu),
    andThen(at('3')(linear(embed, embed))),
  )
}

/**
 * Pixel shuffle, LayerNorm, Linear, GELU (erf), Linear, all with biases. Keys `mlp1.0`, `mlp1.1`, `mlp1.3`.
 *
 * @category models
 */
export const adapter = (
  c: AdapterConfig,
): Layer<readonly ['patch', 'vision'], readonly ['visual', 'embed']> => {
  checked(c)
  return pipe(
    pixelShuffle(
      ...([axis('patch', c.patches), axis('vision', c.visionSize)] as const),
      ...([visualAxis(c), foldedAxis(c), 2, c.order] as const),
    ),
    andThen(perceptron(c)),
    named('adapter'),
    at('mlp1'),
  )
}

/**
 * {@link adapter} over a packed row of patches in which each four that follow one another are a square of 2 × 2: those of
 * its upper row, then those of its lower. So grids of any even sides fold alike, and a square is a visual token.
 *
 * @throws GraphError `BadArgument` where the order is not `v2`: squares come in the order in which they lie in the row
 * @category models
 */
export const packedAdapter = (
  c: AdapterConfig,
): Layer<readonly ['patch', 'vision'], readonly ['visual', 'embed']> => {
  checked(c)
  if (c.order === 'v1')
    throw new GraphError(
      'BadArgument',
      "packedAdapter: the order is 'v1', which turns the grid of a tile; images of any size have v2",
      siteOf(packedAdapter),
    )
  const [patch, vision] = [axis('patch', c.patches), axis('vision', c.visionSize)]
  const squares = layer<readonly [typeof patch, typeof vision], readonly ['visual', 'folded']>(
    'pixelShuffle',
    [patch, vision],
    (x) => reshape(x, [...x.axes.slice(0, -2), visualAxis(c), foldedAxis(c)]),
  )
  return pipe(squares, andThen(perceptron(c)), named('adapter'), at('mlp1'))
}
