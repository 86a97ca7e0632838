/**
 * The rollouts of a run on disk: `rollouts/<stage>/<episode>.jsonl`, a group a line, append-only, each group once.
 *
 * @since 0.1.0
 */
import { type Dirent, mkdirSync } from 'node:fs'
import { readdir, rename } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import type { IOEither } from 'fp-ts/lib/IOEither.js'
import * as IOE from 'fp-ts/lib/IOEither.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import type { EventOf } from './events.ts'
import { type FileError, type LineWriter, openLines, readLines, repairLines, systemError } from './files.ts'
import { GroupDrawn } from './reinforcement-events.ts'

/** The folder of all rollouts inside a run folder. */
export const rolloutsFolder = 'rollouts'

/** The file of an episode's groups inside a run folder. */
export const rolloutsFile = (stage: string, episode: number): string =>
  `${rolloutsFolder}/${stage}/${String(episode).padStart(6, '0')}.jsonl`

/** Rollouts that are appended to and read back. */
export interface Rollouts {
  /** Appends a group to its episode's file. */
  readonly record: (group: EventOf<'group'>) => IOEither<FileError, void>
  /** The groups of an episode in the order in which they were recorded; none where it has not begun. */
  readonly of: (stage: string, episode: number) => TE.TaskEither<FileError, readonly EventOf<'group'>[]>
  /** Renames an episode's file, so that its groups are recorded anew: `000003.jsonl.aside`, then `000003.jsonl.aside-2`, … */
  readonly setAside: (stage: string, episode: number) => TE.TaskEither<FileError, void>
  readonly close: IOEither<FileError, void>
}

/** What is in a folder; nothing where there is none. */
const entriesIn = async (folder: string): Promise<readonly Dirent[]> => {
  try {
    return await readdir(folder, { withFileTypes: true })
  } catch (e) {
    if ((e as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw e
  }
}

/** The stages of a run that have recorded rollouts. */
export const stagesIn = async (root: string): Promise<readonly string[]> =>
  (await entriesIn(join(root, rolloutsFolder))).filter((e) => e.isDirectory()).map((e) => e.name)

/** The episodes of a stage that are recorded, in their order. */
export const episodesIn = async (root: string, stage: string): Promise<readonly number[]> =>
  (await entriesIn(join(root, rolloutsFolder, stage)))
    .filter((e) => /^\d+\.jsonl$/.test(e.name))
    .map((e) => Number.parseInt(e.name, 10))
    .sort((a, b) => a - b)

/** Cuts off what a killed process left half written: in the last file of each stage, since episodes come one after the other. */
export const repairRollouts = (root: string): TE.TaskEither<FileError, void> =>
  pipe(
    TE.tryCatch(
      async () => {
        const lastOf = async (stage: string) =>
          (await episodesIn(root, stage)).slice(-1).map((last) => join(root, rolloutsFile(stage, last)))
        return (await Promise.all((await stagesIn(root)).map(lastOf))).flat()
      },
      systemError(join(root, rolloutsFolder), 'reading the rollouts'),
    ),
    TE.chain(TE.traverseSeqArray(repairLines)),
    TE.map(() => undefined),
  )

/** The groups of an episode in a run's folder. Fails with `BadLine`, which names the line. */
export const readRollouts = (
  root: string,
  stage: string,
  episode: number,
): TE.TaskEither<FileError, readonly EventOf<'group'>[]> =>
  pipe(
    readLines(join(root, rolloutsFile(stage, episode)), GroupDrawn),
    TE.map((l) => l.rows),
    TE.orElse((e) => (e._tag === 'Missing' ? TE.right([]) : TE.left(e))),
  )

/** Rollouts of a run's folder, one file open at a time. */
export const openRollouts = (root: string): Rollouts => {
  // the file that was appended to last; this holder is all that changes
  let open: { readonly file: string; readonly lines: LineWriter } | undefined
  const close: IOEither<FileError, void> = () => {
    const closed = open?.lines.close() ?? E.right(undefined)
    open = undefined
    return closed
  }
  const linesOf = (file: string): IOEither<FileError, LineWriter> => {
    if (open?.file === file) return IOE.right(open.lines)
    const path = join(root, file)
    return pipe(
      close,
      IOE.chain(() =>
        IOE.tryCatch(
          () => {
            mkdirSync(dirname(path), { recursive: true })
          },
          systemError(path, 'making its folder'),
        ),
      ),
      IOE.chain(() => openLines(path)),
      IOE.map((lines) => {
        open = { file, lines }
        return lines
      }),
    )
  }
  return {
    record: (group) =>
      pipe(
        linesOf(rolloutsFile(group.stage, group.episode)),
        IOE.chain((lines) => lines.append(group)),
      ),
    of: (stage, episode) => readRollouts(root, stage, episode),
    setAside: (stage, episode) =>
      pipe(
        TE.fromIOEither(close),
        TE.chain(() => {
          const path = join(root, rolloutsFile(stage, episode))
          return TE.tryCatch(
            async () => {
              const there = await readdir(dirname(path))
              const names = there.filter((f) => f.startsWith(`${basename(path)}.aside`))
              await rename(path, `${path}.aside${names.length === 0 ? '' : `-${names.length + 1}`}`)
            },
            systemError(path, 'putting rollouts aside'),
          )
        }),
      ),
    close,
  }
}
