/**
 * Rendered image tasks of the nano scale: families with exact truth, mixtures of them by index, what the nano bases are
 * pretrained with, and the nano model's processor.
 *
 * @since 0.1.0
 */
export { BasesError, BasesManifest, nanoBases, readBases } from './bases.ts'
export * from './canvas.ts'
export {
  type Captioned,
  chainAt,
  conversationAt,
  type Reply,
  replyAt,
  type SceneConversation,
  sampleConversation,
  sceneConversation,
  textConversation,
} from './conversations.ts'
export { type Corpus, corpusAt } from './corpus.ts'
export { type DenseMixture, denseWeights, type Labelled, labelledAt } from './dense.ts'
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
export type { TaskFamily, TaskQuestion } from './families/family.ts'
export { type ReadScene, read } from './families/read.ts'
export {
  heldOutLines,
  type LineSample,
  type LineShape,
  type Lines,
  lineAt,
  lineShapes,
  lines,
} from './lines.ts'
export {
  checkedIndex,
  contentKey,
  describeAt,
  describeSample,
  type Mixture,
  MixtureError,
  partitionOf,
  render,
  sampleAt,
  taskOf,
} from './mixture.ts'
export * from './nano.ts'
export { patchLabels } from './patch-labels.ts'
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
export { type Problem, type ProblemColumns, problemAt, problems } from './problems.ts'
export { type HeldOutQuestionOptions, heldOutQuestions } from './questions.ts'
export { type ItemOf, itemAt, type RenderItems, type RenderJob } from './render-job.ts'
export * from './render-pool.ts'
export * from './sample.ts'
export { type ImageVerdict, type SaidOfImage, sceneRules } from './scene-rules.ts'
export { type SceneStep, stepRules } from './scene-steps.ts'
export { probe, sceneToken } from './scene-token.ts'
export * from './several.ts'
export { chains, labelledImages, rendered, scenes, texts } from './sources.ts'
export * from './text.ts'
