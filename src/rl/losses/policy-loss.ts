/**
 * A policy loss as a value: one pure function of log-probabilities, advantages and a mask, before any mean is taken.
 *
 * @since 0.1.0
 */
import type { Tensor } from '../../dsl/index.ts'
import type { LossTerms } from '../../train/index.ts'

/** What a policy loss reads: a row a completion, a place a drawn token. Natural logarithms throughout. */
export interface PolicyTensors {
  /** Of each drawn token under the policy that learns, at the sampling temperature. float32 `[batch, token]`. */
  readonly logProbs: Tensor
  /** The same under the policy that the ratio is taken against. float32 `[batch, token]`. */
  readonly oldLogProbs: Tensor
  /** float32 `[batch, token]`, or `[batch]` where all tokens of a completion have one. */
  readonly advantages: Tensor
  /** 1 where a token counts, 0 elsewhere. float32 `[batch, token]`. */
  readonly mask: Tensor
  /** Under the policy that drew the tokens, where it is not the old one. float32 `[batch, token]`. */
  readonly samplingLogProbs?: Tensor
  /** Under a policy that the one that learns is to stay near to. float32 `[batch, token]`. */
  readonly referenceLogProbs?: Tensor
}

/** A loss of reinforcement learning. */
export interface PolicyLoss {
  readonly name: string
  /** Everything that determines it, as plain JSON data: it belongs to the run's identity. */
  readonly config: unknown
  /** Log-probabilities that it reads beside those of the old policy. */
  readonly reads?: { readonly sampling?: boolean; readonly reference?: boolean }
  /** Builds it. Sums and weights add up over micro-batches. */
  readonly terms: (x: PolicyTensors) => LossTerms
}
