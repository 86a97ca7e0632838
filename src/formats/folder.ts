/** Making folders. */
import { mkdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

const isFolder = async (path: string): Promise<boolean> =>
  stat(path).then(
    (s) => s.isDirectory(),
    () => false,
  )

/**
 * Makes a folder, and those above it that are missing. Node's own recursive mkdir never ends where the system says that there
 * is no such place in a folder that is there, as in /proc; here that is the error.
 *
 * @returns the first folder that it made; undefined where all were there
 * @category writing
 */
export const makeFolder = async (path: string): Promise<string | undefined> => {
  try {
    await mkdir(path)
    return path
  } catch (e) {
    const { code } = e as NodeJS.ErrnoException
    const above = dirname(path)
    if (code === 'ENOENT' && above !== path) {
      const first = await makeFolder(above)
      // now the folder above is there: what the system says is about this one
      await mkdir(path).catch(async (again) => {
        if (!(await isFolder(path))) throw again
      })
      return first ?? path
    }
    if (!(await isFolder(path))) throw e
    return undefined
  }
}
