/**
 * A run is a folder: `manifest.json` (what ran), `events.jsonl` (every event, append-only), `rollouts/`
 * (groups of reinforcement by stage and episode, and a table of each stage that has ended), `images/`, `checkpoints/`
 * and `report.html`; while a process writes there, `lock.json` too.
 *
 * @since 0.1.0
 */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { dirname, isAbsolute, join, relative, resolve, sep } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import type { IOEither } from 'fp-ts/lib/IOEither.js'
import * as IOE from 'fp-ts/lib/IOEither.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import * as t from 'io-ts'
import { type MonoTypeOperatorFunction, map } from 'rxjs'
import { makeFolder } from '../formats/index.ts'
import { type EventOf, RunEvent } from './events.ts'
import {
  decodeAt,
  encodeLine,
  type FileError,
  fileError,
  type Lines,
  openLines,
  readJson,
  readLines,
  repairLines,
  systemError,
  type TornLine,
  writeWhole,
} from './files.ts'
import { changesBetween, refusal } from './identity.ts'
import { Manifest, manifestFormat } from './manifest.ts'
import { openRollouts, repairRollouts } from './rollouts.ts'
import { lockFile, takeLock } from './run-lock.ts'
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

/** A run as read back: for reports. */
export interface RecordedRun {
  readonly folder: string
  readonly manifest: Manifest
  readonly events: readonly RunEvent[]
  readonly torn?: TornLine
}

const manifestFile = 'manifest.json'
const eventsFile = 'events.jsonl'

/**
 * `runs/<name>-<yyyymmdd-hhmmss>` in local time; characters that file names dislike become hyphens.
 *
 * @example
 * defaultRunFolder('recipe nano', new Date(2026, 10, 23, 9, 5, 7)) // 'runs/recipe-nano-20261123-090507'
 */
export const defaultRunFolder = (name: string, at: Date): string => {
  const two = (n: number): string => String(n).padStart(2, '0')
  const day = `${at.getFullYear()}${two(at.getMonth() + 1)}${two(at.getDate())}`
  const time = `${two(at.getHours())}${two(at.getMinutes())}${two(at.getSeconds())}`
  return `runs/${fileName(name) || 'run'}-${day}-${time}`
}

const fileName = (name: string): string =>
  name
    .normalize('NFKD')
    .replace(/[^A-Za-z0-9._-]+/g, '-')
    .replace(/^[-.]+|[-.]+$/g, '')

/** Names that a system keeps for itself, and those that look as if they had a checksum already. */
const unusable = /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)|-[0-9a-f]{16}$/

/**
 * A file name for any text, another one for another text, also where a system does not tell capitals from small letters: a
 * short text of small letters, digits and `._-` as it is, any other with a checksum of 64 bits at its end.
 */
export const ownFileName = (text: string): string => {
  const plain = fileName(text).toLowerCase().slice(0, 80)
  if (plain === text && text !== '' && !unusable.test(text)) return text
  // as JSON, halves of surrogate pairs differ too
  const sum = createHash('sha256').update(JSON.stringify(text)).digest('hex').slice(0, 16)
  return `${plain || 'image'}-${sum}`
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
        TE.map((run) => ({ ...run, close: both(run.close, lock.release) })),
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

/** The manifest of a run's folder. One of another form is told by its number, whatever else is in it. */
const readManifest = (root: string): TE.TaskEither<FileError, Manifest> => {
  const path = join(root, manifestFile)
  return pipe(
    readJson(path, t.partial({ format: t.number, sailwright: t.string })),
    TE.chain(({ format = 1, sailwright = 'unknown' }) =>
      format === manifestFormat
        ? readJson(path, Manifest)
        : TE.left(
            fileError(
              'OtherRun',
              { file: path },
              `the run was written in form ${format}, by Sailwright ${sailwright}, and this version reads form ${manifestFormat}; use the version that wrote it, or choose another folder with --out`,
            ),
          ),
    ),
  )
}

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
      ...(torn === undefined ? {} : { torn }),
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

/**
 * A path inside a folder.
 *
 * @throws RangeError where it would lead out of the folder
 */
export const within = (root: string, parts: readonly string[]): string => {
  const path = resolve(root, ...parts)
  const from = relative(root, path)
  if (from === '..' || from.startsWith(`..${sep}`) || isAbsolute(from))
    throw new RangeError(`${parts.join('/')} leads out of the run folder ${root}; name a path inside it`)
  return path
}

/** Where the run is that was meant: around what was named, or in it. */
const runNear = async (root: string): Promise<string> => {
  const isRun = (folder: string): boolean => existsSync(join(folder, manifestFile))
  for (let at = dirname(root), above = 0; above < 4; at = dirname(at), above++)
    if (isRun(at)) return `; it lies in the run ${at}`
  const names = await readdir(root).catch((): string[] => [])
  const runs = names.filter((name) => isRun(join(root, name))).sort()
  const [last] = runs.slice(-1).map((name) => join(root, name))
  if (last === undefined) return ''
  return runs.length === 1
    ? `; the run in it is ${last}`
    : `; name one of the ${runs.length} runs in it, such as ${last}`
}

/**
 * Reads a run back. Fails with `Missing` where the folder is not a run, `BadFile` or `BadLine` where a file is damaged.
 *
 * @category reading
 */
export const readRun = (folder: string): TE.TaskEither<FileError, RecordedRun> => {
  const root = resolve(folder)
  return pipe(
    readManifest(root),
    TE.orElse((e) =>
      e._tag === 'Missing'
        ? pipe(
            TE.fromTask<string, FileError>(() => runNear(root)),
            TE.chain((near) =>
              TE.left(
                fileError(
                  'Missing',
                  { file: root },
                  `this is not a run folder: it has no ${manifestFile}${near}`,
                  e,
                ),
              ),
            ),
          )
        : TE.left(e),
    ),
    TE.chain((manifest) =>
      pipe(
        readLines(join(root, eventsFile), RunEvent),
        TE.orElse((e) =>
          e._tag === 'Missing' ? TE.right<FileError, Lines<RunEvent>>({ rows: [] }) : TE.left(e),
        ),
        TE.map(({ rows, ...rest }) => ({ folder: root, manifest, events: rows, ...rest })),
      ),
    ),
  )
}

/** What is wrong with something that a stage or an evaluation of one's own said. */
const notEvent = (said: unknown): Error => {
  const type = (said as { readonly type?: unknown } | null)?.type
  const about = decodeAt(
    { file: typeof type === 'string' ? `'${type}'` : 'it' },
    'BadLine',
    encodeLine(said) ?? 'null',
    RunEvent,
  )
  return new Error(
    `the run said something that is no event${E.isLeft(about) ? `: ${about.left.message}` : ''}; RunEvent of 'sailwright/run' says which there are`,
  )
}

/**
 * Passes every event on once it is written to the run folder, in order. A write that fails is an error of the stream
 * (its value is the {@link FileError}). Since writing is synchronous nothing queues up: when the stream completes, or is
 * unsubscribed from, everything that came through is in the file.
 *
 * ```text
 * source:  ---a---b--|
 * output:  ---a---b--|      each after its line is in events.jsonl
 * ```
 *
 * @category operators
 */
export const recordEvents = (run: Pick<RunFolder, 'record'>): MonoTypeOperatorFunction<RunEvent> =>
  map((event) => {
    // what is no event would make the whole file unreadable
    if (!RunEvent.is(event)) throw notEvent(event)
    const written = run.record(event)()
    if (E.isLeft(written)) throw written.left
    return event
  })

/** An image in memory: RGB, rows from the top, one byte a channel. */
export interface RgbImage {
  readonly width: number
  readonly height: number
  readonly channels: 3
  /** `height · width · 3` bytes. */
  readonly data: Uint8Array | Uint8ClampedArray
}

/**
 * Writes an image as `images/<name>.png`, the name as {@link ownFileName} makes it, and gives its path inside the run folder, with forward slashes: what
 * `Predicted.image` wants.
 *
 * @category writing
 */
export const writeImage = (
  run: Pick<RunFolder, 'pathOf'>,
  name: string,
  image: RgbImage,
): TE.TaskEither<FileError, string> => {
  const path = `images/${ownFileName(name)}.png`
  const { width, height, channels, data } = image
  return pipe(
    TE.tryCatch(
      async () => {
        if (data.length !== width * height * channels)
          throw new RangeError(
            `the image is said to be ${width} × ${height} × ${channels} and has ${data.length} bytes`,
          )
        const { default: sharp } = await import('sharp')
        return sharp(data, { raw: { width, height, channels } }).png().toBuffer()
      },
      systemError(path, 'encoding the image'),
    ),
    TE.chain((png) => writeWhole(run.pathOf(path), png)),
    TE.map(() => path),
  )
}
