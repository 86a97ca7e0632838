/**
 * Rewards: their algebra, those that rules verify, judges, and a user's own.
 *
 * @since 0.3.0
 */
export { clip, mapEvidence, scale } from './change.ts'
export type { ColumnsOf, ColumnsOfAll, CompoundReward, Rewards, Weights } from './compound.ts'
export { firstThatSpeaks, gate } from './gate.ts'
export { abstained, failed, judgementOf, scored } from './judgement.ts'
export { type OwnRewardOptions, reward, type Verdict } from './own.ts'
export { reweighted, weightsFrom, weightsOf } from './reweighted.ts'
export { type SailRlParts, sailRl } from './sail-rl.ts'
export { type Fitting, type MissingColumn, type OtherColumn, scoreGroup } from './score-group.ts'
export { all, any, product } from './truth.ts'
export { weighted } from './weighted.ts'
