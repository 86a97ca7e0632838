/** Which parameters a stage trains. */
import type { Tensor } from '../dsl/index.ts'

/** Parts of a vision-language model by the prefix of their keys. */
export const parts = {
  vision: 'vision_model.',
  adapter: 'mlp1.',
  language: 'language_model.',
  /** What only a pretraining objective has and throws away: linear probes, the table of scene labels. */
  probe: 'probe.',
} as const

/** The name of a part. */
export type Part = keyof typeof parts

/**
 * The parameters of the named parts.
 *
 * @param all every parameter by its published key
 * @category selection
 */
export const trainable = (
  all: ReadonlyMap<string, Tensor>,
  which: readonly Part[],
): ReadonlyMap<string, Tensor> =>
  new Map([...all].filter(([key]) => which.some((p) => key.startsWith(parts[p]))))
