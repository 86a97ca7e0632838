/**
 * What the floors above make their own stages, objectives and commands of. It is no export of the package: what users write
 * with is in `index.ts`.
 */
export { bools, callWith, floats, imageValues, ints, pixelInput, textValues } from './batch-inputs.ts'
export { chosen, Places } from './chosen.ts'
export { expertLoads } from './expert-terms.ts'
export { firstBatch, tryFirstBatch } from './first-batch.ts'
export { ForkError, type Forked, forkWord, type PlannedFork, planFork } from './fork.ts'
export { learnerPrograms } from './learner.ts'
export { checkedLearning, learningNames, learningStage } from './learning-stage.ts'
export {
  givenOf,
  learntConfig,
  learntPlacesInput,
  learntSetting,
  learntSizes,
  placed,
} from './learnt-places.ts'
export { imagesByDefault, imagesSetting, textGraph } from './next-token.ts'
export { withBadRows } from './own-data.ts'
export { isPrepared, preflightOf, previewOf, ready, withPrepared } from './prepared.ts'
export { rateSearch, searchSetting } from './rate-search.ts'
export { batchSetting, configSetting, flagSetting, stageName, wordSetting } from './setting-checks.ts'
export { stageSchedule } from './stage-schedule.ts'
export { learnerMemory, type StepMemory, stepMemory } from './step-memory.ts'
export { tailLoss } from './tail-loss.ts'
export { transformed } from './transformed.ts'
export { brokenUpdate, fitsProgram } from './update.ts'
export { inGroups } from './weights.ts'
