/**
 * What a run is on disk and on the screen: its folder, its lock, its events, its checkpoints, its identity, its progress.
 *
 * @since 0.1.0
 */
export type { Look, TextSink } from '../terminal/index.ts'
export { badRowsBlock } from './bad-rows.ts'
export {
  atBeginning,
  hasProgress,
  loadProgress,
  progressFile,
  progressFiles,
  type Resumed,
  removeProgress,
  type StageProgress,
  saveProgress,
} from './checkpoint.ts'
export { type Difference, differences } from './differences.ts'
export { type EventOf, RunEvent } from './events.ts'
export {
  exists,
  type FileError,
  fileError,
  readJson,
  systemError,
  type TornLine,
  writeWhole,
} from './files.ts'
export { type FoldedRollouts, foldRollouts, type WhichRollouts } from './fold-rollouts.ts'
export { type Changes, changesBetween } from './identity.ts'
export { type JudgementLine, judgementLines, rewardOf, rewardText } from './judgement-text.ts'
export { Manifest, manifestFormat } from './manifest.ts'
export { type ProgressOptions, showProgress } from './progress.ts'
export { type RecordedRun, readRun } from './read-run.ts'
export { recordEvents } from './record-events.ts'
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
export { type OpenOptions, openRun, type RunFolder } from './run-folder.ts'
export { defaultRunFolder, within } from './run-paths.ts'
export {
  advance,
  batchText,
  emptyRun,
  type Measurement,
  type RunState,
  type StageState,
  withoutRepeats,
} from './run-state.ts'
export { writeImage } from './write-image.ts'
