/**
 * How much likelier the policy that learns makes what was drawn: by token, or by completion as GSPO does.
 *
 * @since 0.1.0
 */
import { add, div, exp, maximum, minimum, mul, stopGradient, sub, sum, type Tensor } from '../../dsl/index.ts'
import type { PolicyTensors } from './policy-loss.ts'

/** Beyond it a logarithm of a ratio is cut off, so that no exponential overflows (verl's bound). */
const bound = 20

/** The logarithm of a ratio, within ±20. */
export const logRatio = (above: Tensor, below: Tensor): Tensor =>
  minimum(maximum(sub(above, below), -bound), bound)

/** The share of each drawn token: π(token) / π_old(token). `[batch, token]`. */
export const tokenRatio = (x: PolicyTensors): Tensor => exp(logRatio(x.logProbs, x.oldLogProbs))

/** The mean logarithm of a completion's ratios; 0 where no token counts. `[batch]`. */
const meanLogRatio = (x: PolicyTensors): Tensor =>
  div(
    sum(mul(logRatio(x.logProbs, x.oldLogProbs), x.mask), 'token'),
    maximum(sum(x.mask, 'token'), 1),
  ) as Tensor

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
