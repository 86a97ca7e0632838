/**
 * Files that ship with the package.
 *
 * @since 0.1.0
 */
export { packageFile, version } from './package-file.ts'
