/** Files that appear as a whole or not at all: written beside, flushed to the disk, renamed. */
import { randomBytes } from 'node:crypto'
import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { makeFolder } from './folder.ts'
import { type SafetensorsError, systemError } from './safetensors-error.ts'

/** A fresh name beside a file, for what is to become it by rename. */
export const temporaryOf = (path: string): string =>
  `${path}.${process.pid}.${randomBytes(6).toString('hex')}.tmp`

/** Whether a file's name is one of {@link temporaryOf}: left behind where no process is writing. */
export const isTemporary = (name: string): boolean => /.\.\d+\.[0-9a-f]{12}\.tmp$/.test(name)

/**
 * Makes or replaces a file by rename: what `write` writes appears as a whole or not at all.
 *
 * @category writing
 */
export const replaceFile = (
  path: string,
  write: (handle: FileHandle) => Promise<void>,
): TE.TaskEither<SafetensorsError, void> =>
  TE.tryCatch(async () => {
    const folder = dirname(path)
    await makeFolder(folder)
    const temporary = temporaryOf(path)
    try {
      const handle = await open(temporary, 'wx')
      try {
        await write(handle)
        await handle.sync()
      } finally {
        await handle.close()
      }
      await rename(temporary, path)
    } catch (e) {
      await rm(temporary, { force: true })
      throw e
    }
    await syncFolder(folder)
  }, systemError(path))

/** Flushes a folder's entries, so that a rename outlives a power failure. Systems that cannot are left alone. */
const syncFolder = async (folder: string): Promise<void> => {
  if (process.platform === 'win32' || !(await stat(folder)).isDirectory()) return
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } catch {
    // some file systems refuse to flush a folder; the file itself is whole all the same
  } finally {
    await handle.close()
  }
}
