/**
 * Files that ship with the package.
 *
 * @since 0.3.0
 */
export { packageFile } from './package-file.ts'
