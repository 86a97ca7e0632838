/**
 * Greedy generation on the host: prompts in, tokens out.
 *
 * @since 0.1.0
 */
import type { Conversation, Processor } from '../data/index.ts'
import type { FunctionSpec } from '../dsl/index.ts'
import type { Session } from '../engine/index.ts'
import type { CausalLm } from '../models/index.ts'
import { onlySettings } from '../settings/index.ts'
import { wholeSetting } from '../train/index.ts'
import { type DecodingSizes, decoding } from './decoding.ts'
import { settled } from './sampling.ts'

/** Greedy generation as a value: the functions that it needs in a program, and how it uses them. */
export interface Generator {
  /** Everything that determines it, as plain JSON data. */
  readonly config: unknown
  readonly processor: Processor
  readonly sizes: DecodingSizes
  readonly functions: Readonly<Record<string, FunctionSpec>>
  /**
   * Sees that prompts fit, without running anything.
   *
   * @throws CollateError where one does not, naming it
   */
  readonly check?: (prompts: readonly Conversation[]) => void
  /**
   * Continues each prompt until the token that ends a turn, or until prompt and answer fill the cache.
   *
   * @param prompts any number of conversations; only their first `promptLength` tokens are read
   * @returns the generated tokens of each, without the end token
   * @throws CollateError where a prompt does not fit, naming it
   */
  readonly generate: (
    session: Session,
    prompts: readonly Conversation[],
  ) => Promise<readonly (readonly number[])[]>
}

/**
 * Greedy generation with a model.
 *
 * @throws ProcessorError where the processor does not make what the model reads; RecipeError where there are no sizes
 * @category generation
 */
export const generator = (model: CausalLm, processor: Processor, sizes: DecodingSizes): Generator => {
  onlySettings('generator', sizes, ['rows', 'prompt', 'capacity', 'images'])
  wholeSetting('generator', 'capacity', sizes.capacity, 1)
  const { config, functions, check, answers, ...rest } = decoding(model, processor, sizes)
  const sampling = settled({ maxNewTokens: rest.sizes.capacity, temperature: 0 })
  return {
    config: { kind: 'greedy', ...(config as object) },
    processor,
    sizes: rest.sizes,
    functions,
    check,
    generate: async (session, prompts) => {
      check(prompts)
      const out: (readonly number[])[] = prompts.map(() => [])
      const asked = prompts.map((prompt) => ({ prompt, uniforms: () => 0 }))
      for await (const { index, ids, ended } of answers(session, asked, { sampling }))
        out[index] = ended ? ids.slice(0, -1) : ids
      return out
    },
  }
}
