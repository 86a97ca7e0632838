/**
 * What a run is on disk and on the screen: its folder, its lock, its events, its checkpoints, its identity, its progress.
 *
 * @since 0.1.0
 */
export { badRowsBlock } from './bad-rows.ts'
export {
  atBeginning,
  hasProgress,
  loadProgress,
  progressFile,
  progressFiles,
  removeProgress,
  type StageProgress,
  saveProgress,
} from './checkpoint.ts'
export { differences } from './differences.ts'
export { type EventOf, RunEvent } from './events.ts'
export { exists, type FileError, fileError, readJson, systemError, writeWhole } from './files.ts'
export { type FoldedRollouts, foldRollouts, type WhichRollouts } from './fold-rollouts.ts'
export { changesBetween } from './identity.ts'
export { type JudgementLine, judgementLines, rewardOf, rewardText } from './judgement-text.ts'
export { Manifest, manifestFormat } from './manifest.ts'
export { showProgress } from './progress.ts'
export { RecordedJudgement } from './reinforcement-events.ts'
export {
  openRollouts,
  type Rollouts,
  readRollouts,
  repairRollouts,
  rolloutsFile,
  rolloutsFolder,
} from './rollouts.ts'
export { rolloutsTable, writeRolloutsTable } from './rollouts-table.ts'
export {
  defaultRunFolder,
  type OpenOptions,
  openRun,
  type RecordedRun,
  type RunFolder,
  readRun,
  recordEvents,
  within,
  writeImage,
} from './run-folder.ts'
export {
  advance,
  batchText,
  emptyRun,
  type Measurement,
  type RunState,
  type StageState,
  withoutRepeats,
} from './run-state.ts'
