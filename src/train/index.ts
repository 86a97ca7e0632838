/**
 * Training: stages, recipes, experiments, run folders.
 *
 * @since 0.1.0
 */
import './unrun.ts'

export { BasesError, BasesManifest, nanoBases, readBases } from './bases.ts'
export { loadProgress, type StageProgress, saveProgress } from './checkpoint.ts'
export { type EventOf, Manifest, RunEvent } from './events.ts'
export type { Experiment, ExperimentFile, ExperimentOptions, RunContext } from './experiment.ts'
export {
  type BatchSizes,
  type Measured,
  nextToken,
  type Objective,
  patchLabels,
  sceneToken,
  textToken,
} from './objective.ts'
export { allOf, begin, type Evaluation, experiment, next, type Recipe, type RunOptions } from './recipe.ts'
export { openRun, type RunFolder, readRun, recordEvents } from './run-folder.ts'
export {
  observeStage,
  type Place,
  type StageEvent,
  type StageTotals,
  type TrainOptions,
  trainStage,
} from './run-stage.ts'
export { SettingError, type SettingReader, settingReader } from './settings.ts'
export { labelledPictures, rendered, type Source, scenes, texts } from './source.ts'
export { defaultSchedule, type Stage, stageProgram } from './stage.ts'
export { loadWeights, readWeights, saveWeights, type Weights, writeWeights } from './weights.ts'
