/**
 * The clipped surrogate of PPO, with bounds of its own on each side, and the dual clip; and what is measured of it with each
 * update.
 *
 * @since 0.1.0
 */
import { and, cast, greater, less, mul, neg, select, stopGradient, type Tensor } from '../../dsl/index.ts'
import { onlySettings } from '../../settings/index.ts'
import type { Fraction } from '../../train/index.ts'
import { tokenMean } from './mean.ts'
import type { PolicyTensors } from './policy-loss.ts'
import { divergence } from './ratio.ts'

/** How far a ratio may go before it teaches no more. */
export interface ClipRange {
  /** Below 1 by so much, where the advantage is negative. */
  readonly low: number
  /** Above 1 by so much, where it is positive. */
  readonly high: number
  /** Bounds a negative advantage's loss at so many times the advantage (dual clip, arXiv 1912.09729); default: nothing does. */
  readonly dual?: number
}

/** A surrogate by token or by completion, and where it was clipped: 1 there, 0 elsewhere. Axes as the ratio's and the advantages'. */
export interface Clipped {
  readonly loss: Tensor
  readonly low: Tensor
  readonly high: Tensor
}

/**
 * −min(ratio · A, clip(ratio, 1 − low, 1 + high) · A). Where the clipped side is the smaller one it is a constant: no
 * gradient flows.
 *
 * @category losses
 */
export const clipped = (ratio: Tensor, advantages: Tensor, options: ClipRange): Clipped => {
  const { low, high, dual } = onlySettings('clipped', options, ['low', 'high', 'dual'])
  const [gains, losses] = [greater(advantages, 0), less(advantages, 0)]
  const isLow = and(losses, less(ratio, 1 - low))
  const isHigh = and(gains, greater(ratio, 1 + high))
  // where a side is clipped, a constant stands in place of the ratio
  const bounded = select(isLow, 1 - low, select(isHigh, 1 + high, ratio))
  const all = dual === undefined ? bounded : select(and(losses, greater(ratio, dual)), dual, bounded)
  return { loss: neg(mul(all, advantages)), low: cast(isLow, 'float32'), high: cast(isHigh, 'float32') }
}

/**
 * Means over the counted tokens: `clipLow` and `clipHigh`, the shares whose ratio was clipped on that side; `kl`, the
 * divergence of the policy that drew the tokens from the one that learns; `mismatch`, that of the one that drew them from the
 * old one, where they are two; `referenceKl`, that of the policy that learns from the reference, where there is one.
 */
export const measured = (x: PolicyTensors, { low, high }: Clipped): Readonly<Record<string, Fraction>> => {
  const now = stopGradient(x.logProbs)
  const { samplingLogProbs: sampling, referenceLogProbs: reference, oldLogProbs: old, mask } = x
  return {
    clipLow: tokenMean(low, mask),
    clipHigh: tokenMean(high, mask),
    kl: tokenMean(divergence(sampling ?? old, now), mask),
    ...(sampling === undefined ? {} : { mismatch: tokenMean(divergence(sampling, old), mask) }),
    ...(reference === undefined ? {} : { referenceKl: tokenMean(divergence(now, reference), mask) }),
  }
}
