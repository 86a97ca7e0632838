/**
 * Training: objectives, stages, recipes, experiments, run folders.
 *
 * @since 0.1.0
 */
import './unrun.ts'

export { type CuratedOptions, curated } from './curated.ts'
export {
  type Distillation,
  type DistillationSettings,
  distillation,
  type Teacher,
} from './distillation.ts'
export { after, allOf, type Evaluation, type MeasuredStage, unmeasured } from './evaluation.ts'
export type { Experiment, ExperimentFile, ExperimentOptions, RunContext } from './experiment.ts'
export { type CalibrationSettings, calibration } from './expert-calibration.ts'
export { withExperts } from './expert-terms.ts'
export { type ExportGraphOptions, exportOnnxModel, exportSavedModel } from './export-graphs.ts'
export { exportHuggingFace, type WrittenFolder } from './export-hugging-face.ts'
export {
  type DescribedFunction,
  describeProgram,
  type ExportedModel,
  type ExportedText,
  exportedText,
  forwardName,
  forwardProgram,
} from './exported-model.ts'
export { type Frozen, frozen } from './frozen.ts'
export { type LearnerProgram, type LearnerSpec, learnerProgram } from './learner.ts'
export type { LearningSettings } from './learning-stage.ts'
export type { AtPlaces, Learnt } from './learnt-places.ts'
export { type ModelSoupSettings, modelSoup } from './model-soup.ts'
export { type NextTokenOptions, type NextTokenSizes, nextToken, type WholeSizes } from './next-token.ts'
export {
  type BatchTerms,
  crossEntropyTerms,
  type Fraction,
  type LossTerms,
  lossOf,
  lossSum,
  type Metric,
  type MicroBatch,
  type Objective,
  ratioOf,
  type Sizes,
} from './objective.ts'
export { type DataOptions, type OwnData, ownData, type WatchedData } from './own-data.ts'
export { type LossMean, type PackedLossOptions, packedNextToken } from './packed-next-token.ts'
export { afterwards, type Prepared, type Preparing } from './prepared.ts'
export { begin, next, type Recipe } from './recipe.ts'
export { experiment, type RunOptions } from './recipe-experiment.ts'
export { fromScratch, type Start } from './recipe-start.ts'
export {
  jsonSetting,
  numberSetting,
  RecipeError,
  textSetting,
  valueSetting,
  wholeSetting,
} from './setting-checks.ts'
export { type Range, SettingError, type SettingReader, settingReader } from './setting-reader.ts'
export {
  observeStage,
  type Position,
  type RewardWeights,
  type Stage,
  type StageContext,
  type StageEnding,
  type StageEvent,
  type StageProgram,
  type StageTotals,
} from './stage.ts'
export type { OwnSchedule } from './stage-schedule.ts'
export { supervised } from './supervised.ts'
export type { SupervisedSettings } from './supervised-settings.ts'
export { orThrow } from './task.ts'
export {
  type AddedParameters,
  adapterFolder,
  type GraphTransform,
  type WithLoraSettings,
  withLora,
} from './transform.ts'
export { type Mark, mark, rollBack, type Updated, update } from './update.ts'
export {
  averagesFile,
  checkpointFolder,
  loadWeights,
  type Placement,
  placeWeights,
  readWeights,
  type StoredWeights,
  saveWeights,
  shapesOf,
  type Weights,
  weightKeys,
  weightsFile,
} from './weights.ts'
