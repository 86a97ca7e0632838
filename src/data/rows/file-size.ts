/**
 * Files of rows, seen before they are read.
 *
 * @since 0.1.0
 */
import { statSync } from 'node:fs'
import { RowsError } from './row.ts'

/**
 * The bytes of a file.
 *
 * @throws RowsError where there is no file, before a run begins
 */
export const fileSize = (file: string): number => {
  try {
    const seen = statSync(file)
    if (seen.isFile()) return seen.size
  } catch (e) {
    const { code, message } = e as NodeJS.ErrnoException
    throw code === 'ENOENT' || code === 'ENOTDIR'
      ? new RowsError('NotFound', file, 'there is no such file; check the path', e)
      : new RowsError('Io', file, `it cannot be read (${message}); check its permissions`, e)
  }
  throw new RowsError('BadFile', file, 'it is no file; give the path of one')
}
