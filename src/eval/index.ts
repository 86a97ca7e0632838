/**
 * Measuring: exact answers by greedy generation, accuracy of an objective on held-out data.
 *
 * @since 0.1.0
 */
export { type ExactAnswerOptions, exactAnswers } from './exact-answer.ts'
export { type GenerateOptions, generate } from './generate.ts'
export { type HeldOutOptions, heldOut } from './held-out.ts'
