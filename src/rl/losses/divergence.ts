/**
 * Divergence of two policies, estimated on drawn tokens.
 *
 * @since 0.1.0
 */
import { exp, sub, type Tensor } from '../../dsl/index.ts'
import { logRatio } from './ratio.ts'

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
