/**
 * A file's content as a stream of blocks; what is compressed by gzip is decompressed on the way.
 *
 * @since 0.1.0
 */
import { closeSync, createReadStream, openSync, readSync } from 'node:fs'
import { constants, createGunzip, gunzipSync } from 'node:zlib'
import { RowsError } from './row.ts'

/** The first bytes of a file, at most so many. */
const firstBytes = (file: string, most: number): Buffer => {
  const opened = openSync(file, 'r')
  try {
    const bytes = Buffer.alloc(most)
    return bytes.subarray(0, readSync(opened, bytes))
  } finally {
    closeSync(opened)
  }
}

const isGzipped = (bytes: Buffer): boolean => bytes[0] === 0x1f && bytes[1] === 0x8b

/** Whether a file begins as gzip's do. */
export const isGzip = (file: string): boolean => isGzipped(firstBytes(file, 2))

/** What a file's content begins with, decompressed where it is compressed by gzip; of what is damaged, nothing. */
export const startOf = (file: string): Buffer => {
  const bytes = firstBytes(file, 2 ** 12)
  if (!isGzipped(bytes)) return bytes
  try {
    return gunzipSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH })
  } catch {
    return Buffer.alloc(0)
  }
}

/** An error of the system or of zlib as one that names the file; others as they are. */
const named = (file: string, e: unknown): unknown => {
  const { code = '', syscall, message } = e as NodeJS.ErrnoException
  if (code.startsWith('Z_'))
    return new RowsError('BadFile', file, `what is compressed is damaged or cut off (${message})`, e)
  return syscall === undefined ? e : new RowsError('Io', file, `it cannot be read (${message})`, e)
}

/**
 * The blocks of a file's content from a byte on, of the decompressed content where the file is compressed: that is read from
 * its beginning then. Ending the iteration closes the file.
 *
 * @throws RowsError where it cannot be read, or ends before that byte
 */
export async function* blocksOf(file: string, from = 0): AsyncGenerator<Buffer> {
  const gzip = isGzip(file)
  const raw = createReadStream(file, { start: gzip ? 0 : from, highWaterMark: 2 ** 18 })
  const stream = gzip ? raw.pipe(createGunzip()) : raw
  if (stream !== raw) raw.on('error', (e) => stream.destroy(e))
  let before = gzip ? from : 0
  try {
    for await (const block of stream as AsyncIterable<Buffer>) {
      if (before < block.length) yield block.subarray(before)
      before = Math.max(0, before - block.length)
    }
    if (before > 0) throw new RowsError('BadFile', file, `it ends before byte ${from}; has it changed?`)
  } catch (e) {
    throw named(file, e)
  } finally {
    raw.destroy()
    stream.destroy()
  }
}
