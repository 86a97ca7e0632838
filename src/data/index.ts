/**
 * Samples: rendered task families with exact truth, mixtures of them by index, tokens, and batches.
 *
 * @since 0.1.0
 */
export * from './canvas.ts'
export * from './collate.ts'
export { type Corpus, corpusAt } from './corpus.ts'
export * from './dense.ts'
export { type ArithmeticScene, arithmetic, steps } from './families/arithmetic.ts'
export { type Bar, type ChartScene, type ChartStyle, chart } from './families/chart.ts'
export {
  type CountScene,
  count,
  counted,
  type Shape,
  type ShapeColour,
  type ShapeKind,
} from './families/count.ts'
export type { Question, TaskFamily } from './families/family.ts'
export { type ReadScene, read } from './families/read.ts'
export * from './mixture.ts'
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
} from './patches.ts'
export * from './random.ts'
export { type ItemOf, itemAt, type RenderItems, type RenderJob } from './render-job.ts'
export * from './render-pool.ts'
export * from './sample.ts'
export * from './text.ts'
export * from './tokens.ts'
