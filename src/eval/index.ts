/**
 * Measuring: exact answers by greedy generation, an objective's metrics on held-out data.
 *
 * @since 0.1.0
 */

export { type Generator, generator } from '../generation/index.ts'
export { type ExactAnswerOptions, exactAnswers } from './exact-answer.ts'
export { type ExpertEntropyOptions, expertEntropy } from './expert-entropy.ts'
export { type HeldOutOptions, heldOut } from './held-out.ts'
