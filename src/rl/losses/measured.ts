/**
 * What every policy loss measures with each update.
 *
 * @since 0.1.0
 */
import { stopGradient } from '../../dsl/index.ts'
import type { Fraction } from '../../train/index.ts'
import type { Clipped } from './clipped.ts'
import { divergence } from './divergence.ts'
import { tokenMean } from './mean.ts'
import type { PolicyTensors } from './policy-loss.ts'

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
