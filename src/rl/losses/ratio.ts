/**
 * How much likelier one policy makes what was drawn than another: by token, or by completion as GSPO does; and how far the two
 * are from one another.
 *
 * @since 0.1.0
 */
import { add, div, exp, maximum, minimum, mul, stopGradient, sub, sum, type Tensor } from '../../dsl/index.ts'
import type { PolicyTensors } from './policy-loss.ts'

/** Beyond it a logarithm of a ratio is cut off, so that no exponential overflows (verl's bound). */
const bound = 20

const withinBound = (log: Tensor): Tensor => minimum(maximum(log, -bound), bound)

/** The logarithm of a ratio, within ±20. */
export const logRatio = (above: Tensor, below: Tensor): Tensor => withinBound(sub(above, below))

/** The share of each drawn token: π(token) / π_old(token). `[batch, token]`. */
export const tokenRatio = (x: PolicyTensors): Tensor => exp(logRatio(x.logProbs, x.oldLogProbs))

/** The mean logarithm of a completion's ratios, within ±20 as a whole; 0 where no token counts. `[batch]`. */
const meanLogRatio = (x: PolicyTensors): Tensor =>
  withinBound(
    div(
      sum(mul(sub(x.logProbs, x.oldLogProbs), x.mask), 'token'),
      maximum(sum(x.mask, 'token'), 1),
    ) as Tensor,
  )

/**
 * The ratio of a whole completion, length-normalised: (π(completion) / π_old(completion))^(1 / tokens), as GSPO (arXiv
 * 2507.18071) defines it. `[batch]`.
 */
export const sequenceRatio = (x: PolicyTensors): Tensor => exp(meanLogRatio(x))

/**
 * The value of {@link sequenceRatio} with the gradient of each token's own probability: GSPO-token. `[batch, token]`.
 */
export const sequenceTokenRatio = (x: PolicyTensors): Tensor =>
  exp(add(stopGradient(meanLogRatio(x)), sub(x.logProbs, stopGradient(x.logProbs))))

/**
 * Schulman's third estimator of KL(drawn from ‖ other) by token: r − 1 − ln r with r = other / drawn from. It is never
 * negative, and its mean over what was drawn is the divergence.
 *
 * As the penalty of GRPO, `drawnFrom` is the policy that learns and `other` the reference.
 *
 * @param drawnFrom log-probabilities under the policy that drew. `[batch, token]`
 * @param other under the other one. `[batch, token]`
 * @category losses
 */
export const divergence = (drawnFrom: Tensor, other: Tensor): Tensor => {
  const log = logRatio(other, drawnFrom)
  return sub(sub(exp(log), 1), log)
}
