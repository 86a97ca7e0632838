/**
 * A completion: what a policy wrote for a task, and under which policy.
 *
 * @since 0.1.0
 */

/** Why a completion ended: with the token that ends a turn, or because it may not be longer. */
export type StopReason = 'end' | 'length'

/** One answer of a policy. Its tokens are those that were drawn: a text is never tokenised again. */
export interface Completion {
  /** The task's id. */
  readonly task: string
  /** Its place in the task's group, from 0. */
  readonly sample: number
  /** Tokens of the prompt as the policy read it, those of images included. Shape [token]. */
  readonly promptIds: readonly number[]
  /** The tokens that were drawn, with the one that ends the turn where `stop` is `end`. Shape [token]. */
  readonly ids: readonly number[]
  /**
   * Natural logarithm of each token's probability under the policy that drew it, at its temperature and before its other
   * filters (top-k, top-p, min-p). Shape [token].
   */
  readonly logProbs: readonly number[]
  /** What it reads as, without the token that ends the turn. */
  readonly text: string
  /** What each token reads as, for people who look at it; one after the other they are `text` and the token that ends the turn. Shape [token]. */
  readonly texts?: readonly string[]
  readonly stop: StopReason
  /** Updates that the policy had seen when it drew the first token. */
  readonly version: number
  /** The policy gave a text without ids, and `ids` were encoded from it: to be judged and measured, and not learnt from. */
  readonly reencoded?: true
}
