/**
 * Files of rows, seen before they are read.
 *
 * @since 0.1.0
 */
import { type Stats, statSync } from 'node:fs'
import { RowsError } from './row.ts'

/**
 * A file or a folder, seen.
 *
 * @param what it is to be, for the message
 * @throws RowsError where there is none, or where it cannot be seen
 */
export const seenAt = (path: string, what: string): Stats => {
  try {
    return statSync(path)
  } catch (e) {
    const { code, message } = e as NodeJS.ErrnoException
    throw code === 'ENOENT' || code === 'ENOTDIR'
      ? new RowsError('NotFound', path, `there is no such ${what}; check the path`, e)
      : new RowsError('Io', path, `it cannot be read (${message}); check the path and its permissions`, e)
  }
}

/**
 * The bytes of a file.
 *
 * @throws RowsError where there is no file, before a run begins
 */
export const fileSize = (file: string): number => {
  const seen = seenAt(file, 'file')
  if (seen.isFile()) return seen.size
  throw new RowsError('BadFile', file, 'it is no file; give the path of one')
}

/**
 * Sees, before a file is read once more, that it has the bytes that it had: rows of another would come in the middle of a run.
 *
 * @throws RowsError where it has others, or is there no more
 */
export const unchanged = (file: string, bytes: number): void => {
  const now = fileSize(file)
  if (now !== bytes)
    throw new RowsError(
      'BadFile',
      file,
      `it has ${now} bytes and had ${bytes} when this began; put it back as it was, or begin anew with what it is now`,
    )
}
