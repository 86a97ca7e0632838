/** Folders that are gone with the process, however it ends. */
import { mkdtempSync, rmSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const folders = new Set<string>()
let cleaning = false

/** Makes one. A thread is given one of the main thread's, because a thread that is stopped takes nothing away. */
export const temporaryFolder = (): string => {
  const folder = mkdtempSync(join(tmpdir(), `sailwright-tf-${process.pid}-`))
  folders.add(folder)
  if (!cleaning) {
    cleaning = true
    process.once('exit', () => {
      for (const f of folders) rmSync(f, { recursive: true, force: true })
    })
  }
  return folder
}

/** Takes a folder away with all that is in it. */
export const removeFolder = async (folder: string): Promise<void> => {
  await rm(folder, { recursive: true, force: true })
  folders.delete(folder)
}
