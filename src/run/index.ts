/**
 * What a run is on disk and on the screen: its folder, its lock, its events, its checkpoints, its identity, its progress.
 *
 * @since 0.3.0
 */
export { loadProgress, type StageProgress, saveProgress } from './checkpoint.ts'
export { type EventOf, Manifest, RunEvent } from './events.ts'
export {
  type OpenOptions,
  openRun,
  type RecordedRun,
  type RunFolder,
  readRun,
  recordEvents,
} from './run-folder.ts'
