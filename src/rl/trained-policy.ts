/**
 * The policy that a stage trains: what its session needs to answer prompts with the weights that it has at the time.
 *
 * @since 0.1.0
 */
import type { Processor } from '../data/index.ts'
import type { FunctionSpec } from '../dsl/index.ts'
import type { Session } from '../engine/index.ts'
import type { DecodingSizes } from '../generation/index.ts'
import type { CausalLm } from '../models/index.ts'
import { checkedSizes } from './drawing-settings.ts'
import type { Policy } from './policy.ts'
import { policyFunctions, sessionPolicy } from './session-policy.ts'

/** What a stage's program has for its policy, and the policy of a session of it. */
export interface TrainedPolicy {
  /** Everything that determines it, as plain JSON data. */
  readonly config: unknown
  /** Of its cache, where it has one: the longest prompt and the longest answer must fit it together. */
  readonly sizes?: DecodingSizes
  readonly functions: Readonly<Record<string, FunctionSpec>>
  /**
   * @param seed with task, sample and token it decides what is drawn
   * @param version updates that the session has seen
   */
  readonly on: (session: Session, about: { readonly seed: number; readonly version: () => number }) => Policy
}

/**
 * The policy that a session of the model is.
 *
 * @param sizes rows that are drawn at once, most tokens of a prompt, of prompt and answer together, and images
 * @throws RecipeError where a size is none, ProcessorError where the processor does not make what the model reads
 * @category policies
 */
export const trainedPolicy = (
  model: CausalLm,
  processor: Processor,
  sizes: DecodingSizes,
): TrainedPolicy => ({
  config: { kind: 'session', sizes: { ...checkedSizes('trainedPolicy', sizes) } },
  sizes,
  functions: policyFunctions({ model, processor, sizes }),
  on: (session, about) => sessionPolicy({ session, model, processor, sizes, ...about }),
})
