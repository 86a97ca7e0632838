/** Folders that a test file makes, and takes away when it ends. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** `folder` makes one whose name begins so; `remove` takes all of them away. */
export const temporaryFolders = (prefix: string) => {
  const made: string[] = []
  return {
    folder: async (): Promise<string> => {
      made.push(await mkdtemp(join(tmpdir(), prefix)))
      return made.at(-1)!
    },
    remove: async (): Promise<void> => {
      for (const f of made) await rm(f, { recursive: true, force: true })
    },
  }
}
