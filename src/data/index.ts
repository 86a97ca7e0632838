/**
 * Samples: rendered task families with exact truth, mixtures of them by index, tokens, and batches.
 *
 * @since 0.1.0
 */
export * from '../tasks/canvas.ts'
export { type Corpus, corpusAt } from '../tasks/corpus.ts'
export * from '../tasks/dense.ts'
export { type ArithmeticScene, arithmetic, steps } from '../tasks/families/arithmetic.ts'
export { type Bar, type ChartScene, type ChartStyle, chart } from '../tasks/families/chart.ts'
export {
  type CountScene,
  count,
  counted,
  type Shape,
  type ShapeColour,
  type ShapeKind,
} from '../tasks/families/count.ts'
export type { Question, TaskFamily } from '../tasks/families/family.ts'
export { type ReadScene, read } from '../tasks/families/read.ts'
export * from '../tasks/mixture.ts'
export {
  alphabet,
  barLetters,
  centreClass,
  centreClasses,
  patchClass,
  patchClasses,
  patchGrid,
  patchSize,
  shapeColours,
  shapeKinds,
  tokenGrid,
} from '../tasks/patches.ts'
export { type ItemOf, itemAt, type RenderItems, type RenderJob } from '../tasks/render-job.ts'
export * from '../tasks/render-pool.ts'
export * from '../tasks/sample.ts'
export * from '../tasks/text.ts'
export * from './collate.ts'
export * from './tokens.ts'
