/** Files that a test lays into a folder of its own. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** Writes a file, with the folders above it; answers its path. */
export const putFile = (folder: string, file: string, text = ''): string => {
  const path = join(folder, file)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
  return path
}
