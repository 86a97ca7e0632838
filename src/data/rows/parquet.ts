/**
 * Rows of a Parquet file, one row group after the other: the format in which data sets are published.
 *
 * @since 0.1.0
 */
import { type FileHandle, open } from 'node:fs/promises'
import type { AsyncBuffer, Compressors, FileMetaData } from 'hyparquet'
import * as t from 'io-ts'
import { type Placed, type Source, SourceError } from '../source.ts'
import { Whole } from '../whole-number.ts'
import { fileSize, unchanged } from './file-size.ts'
import { type Row, RowsError } from './row.ts'

/** Bytes of a row group without compression: it is in memory whole. */
const largest = 2 ** 30

const bufferOf = (handle: FileHandle, byteLength: number): AsyncBuffer => ({
  byteLength,
  slice: async (start, end = byteLength) => {
    const bytes = new Uint8Array(end - start)
    for (let at = 0; at < bytes.length; ) {
      const { bytesRead } = await handle.read(bytes, at, bytes.length - at, start + at)
      if (bytesRead === 0) throw new Error(`it ends at byte ${start + at}`)
      at += bytesRead
    }
    return bytes.buffer
  },
})

/** A value as JSON would have it, but for bytes; they are copied, so that a row keeps no page in memory. */
const plain = (value: unknown): unknown => {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value)
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Uint8Array) return value.slice()
  if (value instanceof Date) return value.toISOString()
  if (Array.isArray(value) || ArrayBuffer.isView(value)) return Array.from(value as ArrayLike<unknown>, plain)
  return Object.fromEntries(Object.entries(value).map(([key, v]) => [key, plain(v)]))
}

/** Readers of compressed pages; what is empty is not read: LZ4's reader takes the end mark of nothing for a copy. */
const readersOf = (all: Compressors): Compressors =>
  Object.fromEntries(
    Object.entries(all).map(([codec, read]) => [
      codec,
      (input: Uint8Array, length: number) => (length === 0 ? new Uint8Array() : read(input, length)),
    ]),
  )

const Place = t.strict({ row: Whole })

/**
 * The rows of a Parquet file, once; a row's line is its number from 1. Columns are as they are nested there: lists, structs
 * (of an image `{ bytes, path }`), texts, bytes; whole numbers that JavaScript does not hold exactly are texts, times are
 * ISO texts. A place is the rows before it. One row group is in memory at a time.
 *
 * @throws RowsError where there is no such file, it is no Parquet, or has a row group of more than 1 GiB
 * @throws SourceError where it is opened at a place of another source, or behind the file's end
 * @category sources
 */
export const parquet = (file: string): Source<Row> => {
  const size = fileSize(file)
  const bad = (what: string, cause?: unknown): RowsError => new RowsError('BadFile', file, what, cause)
  return {
    config: { kind: 'parquet', file, bytes: size },
    async *open(place = { row: 0 }): AsyncGenerator<Placed<Row>> {
      const { parquetMetadataAsync, parquetReadObjects } = await import('hyparquet')
      const { compressors } = await import('hyparquet-compressors')
      const readers = readersOf(compressors)
      unchanged(file, size)
      const handle = await open(file)
      try {
        const buffer = bufferOf(handle, size)
        const metadata: FileMetaData = await parquetMetadataAsync(buffer).catch((e: Error) => {
          throw bad(`it is no Parquet file (${e.message}); is it whole?`, e)
        })
        if (!Place.is(place) || place.row > Number(metadata.num_rows))
          throw new SourceError(
            `${file} opens at { row } inside it, not at ${JSON.stringify(place)}; is it the file of this run?`,
          )
        let begin = 0
        for (const [i, group] of metadata.row_groups.entries()) {
          const [from, end] = [Math.max(begin, place.row), begin + Number(group.num_rows)]
          begin = end
          if (from >= end) continue
          const bytes = Number(group.total_byte_size)
          if (bytes > largest)
            throw bad(
              `row group ${i} has ${bytes} bytes, and at most ${largest} are read at once; write smaller ones (row_group_size=1000 in pandas and pyarrow)`,
            )
          const options = { file: buffer, metadata, compressors: readers, utf8: false, geoparquet: false }
          const rows: readonly object[] = await parquetReadObjects({
            ...options,
            rowStart: from,
            rowEnd: end,
          }).catch((e: Error) => {
            throw bad(`its rows ${from + 1} to ${end} cannot be read (${e.message}); is it whole?`, e)
          })
          for (const [k, columns] of rows.entries()) {
            const row = from + k + 1
            yield {
              example: { columns: plain(columns) as Row['columns'], file, line: row },
              next: { row },
            }
          }
        }
      } finally {
        await handle.close()
      }
    },
  }
}
