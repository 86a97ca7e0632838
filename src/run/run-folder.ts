/**
 * A run is a folder: `manifest.json` (what ran), `events.jsonl` (every event, append-only), `rollouts/`
 * (groups of reinforcement by stage and episode, and a table of each stage that has ended), `images/`, `checkpoints/`
 * and `report.html`; while a process writes there, `lock.json` too.
 *
 * @since 0.1.0
 */
import { readdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import type { IOEither } from 'fp-ts/lib/IOEither.js'
import * as IOE from 'fp-ts/lib/IOEither.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { makeFolder } from '../formats/index.ts'
import { onlySettings } from '../settings/index.ts'
import { present } from '../settings/internal.ts'
import { type EventOf, RunEvent } from './events.ts'
import {
  encodeLine,
  type FileError,
  fileError,
  openLines,
  readLines,
  repairLines,
  systemError,
  type TornLine,
  writeWhole,
} from './files.ts'
import { changesBetween, refusal } from './identity.ts'
import { type Manifest, manifestFile, readManifest } from './manifest.ts'
import { openRollouts, repairRollouts } from './rollouts.ts'
import { lockFile, takeLock } from './run-lock.ts'
import { eventsFile, within } from './run-paths.ts'
import { sweepTemporaries } from './sweep.ts'

/** A run's folder, open for writing by this process and no other. */
export interface RunFolder {
  /** Absolute path. */
  readonly folder: string
  /** As on disk: of a folder that was there already, the first start's. */
  readonly manifest: Manifest
  /** True where the folder was there already, begun by the same run. */
  readonly continued: boolean
  /** An event that a killed process left half written; it was cut off when the folder was opened. */
  readonly torn?: TornLine
  /**
   * Appends one event. Synchronous and in order; what marks progress (all but steps and predictions) is also flushed to
   * the disk itself. Groups of rollouts go to `rollouts/`, the others to `events.jsonl`.
   */
  readonly record: (event: RunEvent) => IOEither<FileError, void>
  /** Groups that earlier starts have recorded of an episode of a stage. */
  readonly rollouts: (stage: string, episode: number) => TE.TaskEither<FileError, readonly EventOf<'group'>[]>
  /** Puts the groups of an episode aside under another name, so that it is recorded anew. */
  readonly setRolloutsAside: (stage: string, episode: number) => TE.TaskEither<FileError, void>
  /** All events so far. */
  readonly events: () => TE.TaskEither<FileError, readonly RunEvent[]>
  /** A path inside the folder. @throws RangeError where it would lead out of the folder */
  readonly pathOf: (...parts: readonly string[]) => string
  /** Flushes and closes the event file and gives the folder's lock back; a second time is harmless. */
  readonly close: IOEither<FileError, void>
}

/** How a run's folder may be opened. */
export interface OpenOptions {
  /** Goes on although code, versions or cores have changed since the run began; an event says so. */
  readonly allowChangedCode?: boolean
}

/** What else may be there before the run has begun: the lock, and a file that a killed process was writing. */
const isOurs = (entry: string): boolean =>
  entry === lockFile ||
  [manifestFile, lockFile].some((f) => entry.startsWith(`${f}.`) && entry.endsWith('.tmp'))

const noRun = (root: string, others: readonly string[]): FileError =>
  fileError(
    'OtherRun',
    { file: root },
    `the folder holds ${others.slice(0, 3).join(', ')}${others.length > 3 ? ' and more' : ''} but no ${manifestFile}: it is not a run; choose another folder with --out`,
  )

/** The folder's entries. Fails with `OtherRun` where it holds something that is no run. */
const entriesOf = (root: string): TE.TaskEither<FileError, readonly string[]> =>
  pipe(
    TE.tryCatch(() => readdir(root), systemError(root, 'reading the run folder')),
    TE.filterOrElse(
      (entries) => entries.includes(manifestFile) || entries.every(isOurs),
      (entries) =>
        noRun(
          root,
          entries.filter((e) => !isOurs(e)),
        ),
    ),
  )

/**
 * Makes a run's folder, or opens it again where the same run began it: the experiment says the same ({@link
 * changesBetween}), and the same code, versions and cores carry it out. Temporary files that a killed process has left are
 * taken away. While it is open, no other process can open it; a process that was killed leaves it open to the next on the same host.
 *
 * Fails with `Locked` where another process has the folder open, `OtherRun` where it belongs to another run (the message
 * names each difference) or another version's, or holds something else, `BadFile` where its manifest cannot be read, `Io`. It never empties a folder.
 *
 * @category constructors
 */
export const openRun = (
  folder: string,
  manifest: Manifest,
  options: OpenOptions = {},
): TE.TaskEither<FileError, RunFolder> => {
  onlySettings('openRun', options, ['allowChangedCode'])
  const root = resolve(folder)
  return pipe(
    TE.tryCatch(() => makeFolder(root), systemError(root, 'making the run folder')),
    // nothing is put into a folder that is no run, not even a lock
    TE.chain(() => entriesOf(root)),
    TE.chainIOEitherK(() => takeLock(root)),
    TE.chain((lock) =>
      pipe(
        sweepTemporaries(root),
        TE.chain(() => entriesOf(root)),
        TE.chain((entries) =>
          entries.includes(manifestFile)
            ? continueRun(root, manifest, entries, options)
            : beginRun(root, manifest),
        ),
        TE.map((run) => ({
          ...run,
          // a folder that went elsewhere would take the events with it, and another be made for the weights
          record: (event: RunEvent) =>
            pipe(
              lock.stillHolds(manifestFile),
              IOE.chain(() => run.record(event)),
            ),
          close: both(run.close, lock.release),
        })),
        TE.orElse((e) =>
          pipe(
            TE.fromIO(lock.release),
            TE.chain(() => TE.left(e)),
          ),
        ),
      ),
    ),
  )
}

/** One after the other, whatever becomes of the first; its error goes before the second's. */
const both =
  (first: IOEither<FileError, void>, second: IOEither<FileError, void>): IOEither<FileError, void> =>
  () => {
    const [a, b] = [first(), second()]
    return E.isLeft(a) ? a : b
  }

const beginRun = (root: string, manifest: Manifest): TE.TaskEither<FileError, RunFolder> =>
  pipe(
    writeWhole(join(root, manifestFile), `${encodeLine(manifest, 2)}\n`),
    TE.chainIOEitherK(() => opened(root, manifest, false, undefined)),
  )

const continueRun = (
  root: string,
  manifest: Manifest,
  entries: readonly string[],
  { allowChangedCode = false }: OpenOptions,
): TE.TaskEither<FileError, RunFolder> =>
  pipe(
    readManifest(root),
    TE.bindTo('there'),
    TE.bind('changes', ({ there }) => TE.right(changesBetween(there, manifest))),
    TE.chainFirst(({ there, changes }) => {
      const why = refusal(changes, there, allowChangedCode)
      return why === undefined ? TE.right(undefined) : TE.left(fileError('OtherRun', { file: root }, why))
    }),
    TE.bind('torn', () =>
      entries.includes(eventsFile) ? repairLines(join(root, eventsFile)) : TE.right(undefined),
    ),
    TE.chainFirst(() => repairRollouts(root)),
    TE.chainIOEitherK(({ there, changes, torn }) =>
      pipe(
        opened(root, there, true, torn),
        IOE.chainFirst((run) =>
          changes.surroundings.length === 0
            ? IOE.right(undefined)
            : run.record({
                type: 'warned',
                message: `gone on with, although what carries the run out has changed: ${changes.surroundings.join('; ')}`,
              }),
        ),
      ),
    ),
  )

const opened = (
  root: string,
  manifest: Manifest,
  continued: boolean,
  torn: TornLine | undefined,
): IOEither<FileError, RunFolder> =>
  pipe(
    openLines(join(root, eventsFile)),
    IOE.bindTo('lines'),
    IOE.let('rollouts', () => openRollouts(root)),
    IOE.map(({ lines, rollouts }) => ({
      folder: root,
      manifest,
      continued,
      ...present({ torn }),
      record: (event) =>
        event.type === 'group'
          ? rollouts.record(event)
          : ['step', 'rl-step', 'predicted'].includes(event.type)
            ? lines.append(event)
            : pipe(
                lines.append(event),
                IOE.chain(() => lines.flush),
              ),
      rollouts: rollouts.of,
      setRolloutsAside: rollouts.setAside,
      events: () =>
        pipe(
          readLines(lines.path, RunEvent),
          TE.map((l) => l.rows),
        ),
      pathOf: (...parts) => within(root, parts),
      close: both(rollouts.close, lines.close),
    })),
  )
