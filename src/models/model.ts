/**
 * A model as a value: what a trainer, an evaluation and a report need of it, and nothing of which model it is.
 *
 * @since 0.1.0
 */
import {
  type Axis,
  axis,
  causal,
  input,
  Key,
  type Keys,
  type KeyValues,
  rename,
  type Tensor,
} from '../dsl/index.ts'
import type { PatchPlaces } from './any-resolution.ts'
import type { MoeConfig } from './moe-config.ts'

/** A model's name, configuration, parts and graph. */
export interface Model {
  readonly name: string
  /** What determines it, as plain JSON data. */
  readonly config: unknown
  /** Its parts by name, as predicates over parameter keys. */
  readonly parts: Readonly<Record<string, Keys>>
  /**
   * Its forward graph, for summaries and pictures: no weights are allocated.
   *
   * @throws GraphError where the configuration contradicts itself
   */
  readonly graph: (sizes?: GraphSizes) => Tensor
  /** The share of tokens that a parameter works for; default: 1, as where there are no experts. */
  readonly activeShare?: (key: string) => number
}

/** The sizes that a forward graph is built at. */
export interface GraphSizes {
  /** Rows; also images, one a row. Default 1. */
  readonly batch?: number
  /** Tokens a row, those of images included; default 64 and those of one image. */
  readonly tokens?: number
}

/** Where tokens are, and what each may attend to. */
export interface TokenContext {
  readonly token: Axis<'token'>
  /** int32 `[batch, token]`: positions, which may restart inside a pack. */
  readonly positions: Tensor
  /** bool `[…, token, key]`: true where a token may attend. A mask of one's own is this one `and` what it hides besides. */
  readonly mask: Tensor
  /**
   * int32 `[…, key]`: positions of what the mask's `key` axis has, in its order. Where tokens are generated one by one that are
   * the call's own tokens and the slots of the cache, so that a place along the axis says nothing: a window of `n` tokens is
   * `less(sub(positions, keyPositions), n)`.
   */
  readonly keyPositions: Tensor
  /** A key-value cache, where tokens are generated one by one. */
  readonly cache?: KeyValues
  /**
   * int32 `[batch, token]`, of as many tokens as are wanted: their places in the row. What the last layer computes of others
   * is what these attend to. Default: all.
   */
  readonly wanted?: Tensor
}

/** Images beside a text. */
export interface ImageInputs {
  /**
   * float32 `[tile, channel, height, width]`, normalised; of a model of any resolution `[patch, channel, height, width]` of
   * one patch, each four that follow one another a square of 2 × 2 of their image.
   */
  readonly pixels: Tensor
  /** Where each patch is, where the model reads images of any size. */
  readonly places?: PatchPlaces
  /**
   * int32 `[batch, token]`: the index among the tokens of all images (`tile · visual + place`, or the number of the square of
   * patches), or −1 for text.
   */
  readonly visualIndex: Tensor
}

/** What a model reads of images. */
export interface ImageSizes {
  /** Pixels along each side of a tile; of a model of any resolution those of a square of patches that makes one token. */
  readonly size: number
  /** Tokens of one tile; 1 of such a square. */
  readonly tokens: number
  /** Pixels along each side of a patch, where the model reads images of any size, as squares of patches. */
  readonly patchSize?: number
  /** Into which grids the published model was trained to see an image cut; default: an image is one tile. */
  readonly tiling?: TileGrids
}

/** Grids of tiles of which an image is cut into the one that is nearest to its shape. */
export interface TileGrids {
  /** Fewest tiles of a grid: `min_dynamic_patch`. */
  readonly least: number
  /** Most tiles of a grid: `max_dynamic_patch`. */
  readonly most: number
  /** Whether the whole image comes last where it was cut: `use_thumbnail`. */
  readonly thumbnail: boolean
}

/**
 * A language model, with or without eyes, in three pieces: ids (and images) to vectors, vectors to the residual stream, the
 * residual stream to logits. Training, generation and log-probabilities are put together from them.
 */
export interface CausalLm extends Model {
  /** Rows of the embedding table: ids are below it. */
  readonly vocabSize: number
  /** What it reads of images. Undefined where it reads text alone. */
  readonly image?: ImageSizes
  /** Its experts, where it has some: training balances them, and its graph has routers. */
  readonly experts?: MoeConfig
  /** ids int32 `[batch, token]` → `[batch, token, embed]`. */
  readonly embed: (ids: Tensor, images?: ImageInputs) => Tensor
  /** `[batch, token, embed]` → `[batch, token, embed]`, of the tokens that the context wants, after the last norm. */
  readonly decode: (embedded: Tensor, context: TokenContext) => Tensor
  /** `[…, embed]` → `[…, vocab]`. */
  readonly head: (hidden: Tensor) => Tensor
}

/** Whether a model writes text. */
export const isCausalLm = (model: Model): model is CausalLm =>
  typeof (model as Partial<CausalLm>).head === 'function'

/** The experts of a model, where it writes text and has some. */
export const expertsOf = (model: Model): MoeConfig | undefined => (model as Partial<CausalLm>).experts

/** Positions of tokens as those of the keys that the same tokens are. */
export const positionsOfKeys = (positions: Tensor): Tensor => rename(positions, 'token', Key)

/** What a causal language model reads at every position. */
export interface CausalInputs extends Omit<TokenContext, 'keyPositions'> {
  /** int32 `[batch, token]`. */
  readonly ids: Tensor
  readonly images?: ImageInputs
}

/**
 * Logits at every position, or where they are wanted: `[batch, token, vocab]`.
 *
 * @category models
 */
export const logitsOf = (
  model: Pick<CausalLm, 'embed' | 'decode' | 'head'>,
  { ids, images, ...context }: CausalInputs,
): Tensor => {
  const keyPositions = positionsOfKeys(context.positions)
  return model.head(model.decode(model.embed(ids, images), { ...context, keyPositions }))
}

/**
 * A language model that reads text alone, from its three pieces: its forward graph is put together from them.
 *
 * @category constructors
 */
export const causalLm = (pieces: Omit<CausalLm, 'graph' | 'image'>): CausalLm => ({
  ...pieces,
  graph: ({ batch = 1, tokens = 64 } = {}) => {
    const token = axis('token', tokens)
    const of = (key: string): Tensor => input(key, [axis('batch', batch), token], 'int32')
    const positions = of('position_ids')
    return logitsOf(pieces, { token, positions, mask: causal(token), ids: of('input_ids') })
  },
})

/** A configuration as it was given: a model's own `config` says its kind beside it. */
export const withoutKind = <C extends object>(c: C, kind: string): C => {
  if (!('kind' in Object(c)) || (c as { readonly kind?: unknown }).kind !== kind) return c
  const { kind: _, ...given } = c as C & { readonly kind: unknown }
  return given as unknown as C
}
