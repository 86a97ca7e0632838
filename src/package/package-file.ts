/**
 * Where this package lies, whether it runs from `dist` or from `src`.
 *
 * @since 0.1.0
 */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = (): string => {
  let folder = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(folder, 'package.json'))) {
    const above = dirname(folder)
    if (above === folder) throw new Error('package.json of sailwright is missing: install the package again')
    folder = above
  }
  return folder
}

/**
 * The absolute path of a file of this package, whether it is there or not.
 *
 * @throws Error where the package's own package.json is missing
 */
export const packageFile = (...parts: readonly string[]): string => join(root(), ...parts)

/** The version in package.json. */
export const version = (): string =>
  (JSON.parse(readFileSync(packageFile('package.json'), 'utf8')) as { version: string }).version
