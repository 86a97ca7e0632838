/**
 * Which Sailwright this is.
 *
 * @since 0.1.0
 */
import { readFileSync } from 'node:fs'
import { packageFile } from '../package/index.ts'

/** The version in package.json. */
export const version = (): string =>
  (JSON.parse(readFileSync(packageFile('package.json'), 'utf8')) as { version: string }).version
