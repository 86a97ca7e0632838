/**
 * Sizes of a generation.
 *
 * @since 0.1.0
 */
import { GraphError, siteOf } from '../dsl/index.ts'
import { onlySettings } from '../settings/index.ts'
import type { CausalLm } from './model.ts'

/** Sizes of a generation. */
export interface GenerationSizes {
  /** Rows of the cache: answers that are written at once. */
  readonly rows: number
  /** Tokens of the longest prompt, those of images included. */
  readonly prompt: number
  /** Tokens of prompt and answer together. */
  readonly capacity: number
  /** Prompts that one call reads; default `rows`. */
  readonly prompts?: number
  /**
   * Images of those prompts together, tiles counted one by one; 0 for text alone. Of a model of any resolution squares of
   * patches, which are its visual tokens. Default: one a prompt where the model reads images of one size, 0 where it reads text.
   */
  readonly images?: number
  /** Tells its cache from another of the same program; default none. */
  readonly name?: string
}

const names: readonly (keyof GenerationSizes)[] = ['rows', 'prompt', 'capacity', 'prompts', 'images', 'name']

/**
 * The images of a generation.
 *
 * @throws GraphError `BadArgument` where its sizes do not say, and images have any size
 */
export const imagesOf = (model: CausalLm, s: GenerationSizes): number => {
  onlySettings('generation', s, names)
  if (s.images === undefined && model.image?.patchSize !== undefined)
    throw new GraphError(
      'BadArgument',
      `generation: there is no default for images, because model '${model.name}' reads images of any size; give the visual tokens of all prompts of a call together`,
      siteOf(imagesOf),
    )
  return s.images ?? (model.image === undefined ? 0 : (s.prompts ?? s.rows))
}

/** Whether a state belongs to the cache and not to the model. */
export const isCacheKey = (key: string): boolean => key.startsWith('cache.')
