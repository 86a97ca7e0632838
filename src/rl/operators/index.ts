/**
 * Operators of reinforcement learning: each takes options and gives a function of a stream.
 *
 * @since 0.1.0
 */
export { type DynamicSamplingOptions, dynamicSampling } from './dynamic-sampling.ts'
export { type EvaluateEveryOptions, evaluateEvery } from './evaluate-every.ts'
export { groupAdvantages } from './group-advantages.ts'
export { inTaskOrder } from './in-task-order.ts'
export { type Minibatch, type MinibatchOptions, minibatches, minibatchesOf } from './minibatches.ts'
export { policyUpdate, type UpdatedMinibatch, type UpdateOptions } from './policy-update.ts'
export { type RecomputedOptions, recomputed } from './recomputed.ts'
export { type RolloutOptions, rollout } from './rollout.ts'
export { type ScoreOptions, score } from './score.ts'
export { withReference } from './with-reference.ts'
