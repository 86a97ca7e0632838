/** A run read back from its folder, whether it has ended or not. */
import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { RunEvent } from './events.ts'
import { type FileError, fileError, type Lines, readLines, type TornLine } from './files.ts'
import { type Manifest, manifestFile, readManifest } from './manifest.ts'
import { eventsFile } from './run-paths.ts'

/** A run as read back: for reports. */
export interface RecordedRun {
  readonly folder: string
  readonly manifest: Manifest
  readonly events: readonly RunEvent[]
  readonly torn?: TornLine
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
