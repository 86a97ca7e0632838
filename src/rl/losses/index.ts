/**
 * Losses of reinforcement learning, and what they are put together from.
 *
 * @since 0.1.0
 */
export { type Clipped, type ClipRange, clipped, measured } from './clipped.ts'
export { type Corrections, corrected } from './corrections.ts'
export { constantMean, sequenceMean, tokenMean } from './mean.ts'
export type { PolicyLoss, PolicyTensors } from './policy-loss.ts'
export { divergence, logRatio, sequenceRatio, sequenceTokenRatio, tokenRatio } from './ratio.ts'
export { type ClipSettings, type DrGrpoSettings, dapo, drGrpo, grpo, gspo, gspoToken } from './surrogates.ts'
