/**
 * Losses of reinforcement learning, and what they are put together from.
 *
 * @since 0.1.0
 */
export type { ClipSettings } from './clip-settings.ts'
export { type Clipped, type ClipRange, clipped } from './clipped.ts'
export { type Corrections, corrected } from './corrections.ts'
export { dapo } from './dapo.ts'
export { divergence } from './divergence.ts'
export { type DrGrpoSettings, drGrpo } from './dr-grpo.ts'
export { grpo } from './grpo.ts'
export { gspo } from './gspo.ts'
export { gspoToken } from './gspo-token.ts'
export { constantMean, sequenceMean, tokenMean } from './mean.ts'
export { measured } from './measured.ts'
export type { PolicyLoss, PolicyTensors } from './policy-loss.ts'
export { logRatio, sequenceRatio, sequenceTokenRatio, tokenRatio } from './ratio.ts'
