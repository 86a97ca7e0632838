/**
 * Taking away what killed processes left half written.
 *
 * @since 0.1.0
 */
import { readdir, rm, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { isTemporary } from '../formats/index.ts'
import { type FileError, systemError } from './files.ts'
import { lockFile } from './run-lock.ts'

/** Files of a run that are also written by processes that do not hold its lock: those who want it, and reports. */
const unlocked = [lockFile, 'report.html']

/** Nobody takes this long for one of them, in milliseconds. */
const longest = 3600_000

/**
 * Takes away the temporary files of a run's folder, however deep, which a process that was killed while it wrote has left.
 * Only for who holds the folder's lock: nobody else writes there. Symbolic links are not followed. Gives the paths.
 *
 * @category writing
 */
export const sweepTemporaries = (root: string): TE.TaskEither<FileError, readonly string[]> =>
  TE.tryCatch(
    async () => {
      const swept: string[] = []
      for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile() || !isTemporary(entry.name)) continue
        const path = join(entry.parentPath ?? entry.path, entry.name)
        const others = unlocked.some((name) => basename(path).startsWith(`${name}.`))
        if (others && (await agedLess(path, longest))) continue
        await rm(path, { force: true })
        swept.push(path)
      }
      return swept
    },
    systemError(root, 'taking away what a killed process left half written'),
  )

const agedLess = async (path: string, milliseconds: number): Promise<boolean> => {
  try {
    return Date.now() - (await stat(path)).mtimeMs < milliseconds
  } catch {
    // its own process has taken it away
    return true
  }
}
