/**
 * Rewards: their algebra, those that rules verify, judges, and a user's own.
 *
 * @since 0.1.0
 */

export { type AnswerOptions, answer, type Truth } from './answer.ts'
export { clip, mapEvidence, scale } from './change.ts'
export type { ColumnsOf, ColumnsOfAll, CompoundReward, Rewards, WeightsByName } from './compound.ts'
export { format, type Then, think } from './format.ts'
export { firstThatSpeaks, gate } from './gate.ts'
export * from './judge/index.ts'
export { abstained, failed, judgementOf, scored, scoreGroup } from './judgement.ts'
export { type CosineOptions, cosineScaled, length, type SoftOverlongOptions, softOverlong } from './length.ts'
export { chartNumber, choice, regionOverlap, textSimilarity } from './measures.ts'
export { type OwnRewardOptions, reward, type Verdict } from './own.ts'
export { type RepetitionOptions, repetition } from './repetition.ts'
export { reweighted, weightsFrom, weightsOf } from './reweighted.ts'
export { type SailRlParts, sailRl } from './sail-rl.ts'
export { all, any, product } from './truth.ts'
export { type InPool, type VerifiedOptions, verified } from './verified.ts'
export { weighted } from './weighted.ts'
