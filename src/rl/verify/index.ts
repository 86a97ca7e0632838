/**
 * Verifiers: pure functions of text, and the pool of threads in which rewards run them.
 *
 * @since 0.1.0
 */
export { lastBoxed, lastBoxes } from '../../text/index.ts'
export type { Checked, CheckInput, CheckName } from './checks.ts'
export { type Choices, choiceOf } from './choice.ts'
export { afterThinking, type Extracted, extract, type Where } from './extract.ts'
export {
  type CheckCall,
  type Outcome,
  type PoolCounts,
  sharedPool,
  type VerifierPool,
  type VerifierPoolOptions,
  verifierPool,
} from './pool.ts'
export { iou, type Region, regionIn, regionInPixels } from './region.ts'
export { type RelaxedOptions, relaxedMatch } from './relaxed.ts'
export { repeatedShare } from './repetition.ts'
export { type Comparison, type Percent, type SameAnswerOptions, sameAnswer } from './same-answer.ts'
export { anls, hasAnswer, levenshtein, vqaAccuracy, vqaNormal, yesOrNo } from './similar-text.ts'
