/** What a folder says of the run that was begun in it. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Manifest } from '../run/index.ts'

/** The manifest as it stands in the folder, unchecked; undefined where none can be read. */
export const manifestIn = (folder: string): Partial<Manifest> | undefined => {
  try {
    return JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8')) ?? undefined
  } catch {
    return undefined
  }
}
