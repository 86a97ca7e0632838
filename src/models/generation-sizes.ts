/**
 * Sizes of a generation.
 *
 * @since 0.1.0
 */
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
  /** Images of those prompts together; 0 for text alone. Default: one a prompt where the model reads images, else 0. */
  readonly images?: number
  /** Tells its cache from another of the same program; default none. */
  readonly name?: string
}

/** The images of a generation, where its sizes do not say. */
export const imagesOf = (model: CausalLm, s: GenerationSizes): number =>
  s.images ?? (model.image === undefined ? 0 : (s.prompts ?? s.rows))

/** Whether a state belongs to the cache and not to the model. */
export const isCacheKey = (key: string): boolean => key.startsWith('cache.')
