/**
 * Rows of JSON, one a line, read as a stream: no more than a line and a block of the file are in memory.
 *
 * @since 0.1.0
 */
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import type { Source } from '../source.ts'
import { blocksOf } from './blocks.ts'
import { fileRows, type ReadRow } from './file-rows.ts'
import { type Row, RowError, type RowOptions, RowsError } from './row.ts'
import { columnsOf, textOf } from './row-of-json.ts'

/** A line and the place behind it. */
interface Line {
  readonly bytes: Buffer
  /** Its number from 1. */
  readonly line: number
  /** The byte behind it and its newline. */
  readonly end: number
}

/** A file without newlines is no JSONL, and is not gathered in memory. */
const longestLine = 2 ** 28

/** The lines of a file from a byte on, of which `line` are before it. */
async function* linesOf(file: string, byte: number, line: number): AsyncGenerator<Line> {
  let parts: Buffer[] = []
  let length = 0
  let end = byte
  for await (const block of blocksOf(file, byte)) {
    let from = 0
    for (let at = block.indexOf(10); at >= 0; at = block.indexOf(10, from)) {
      const bytes = Buffer.concat([...parts, block.subarray(from, at)])
      parts = []
      length = 0
      from = at + 1
      end += bytes.length + 1
      yield { bytes, line: ++line, end }
    }
    if (from === block.length) continue
    parts.push(block.subarray(from))
    length += block.length - from
    if (length > longestLine)
      throw new RowsError(
        'BadFile',
        file,
        `line ${line + 1} is longer than ${longestLine} bytes; write one row a line`,
      )
  }
  if (length > 0) yield { bytes: Buffer.concat(parts), line: line + 1, end: end + length }
}

/** A line as a row; undefined where it is blank. */
const rowOf = (file: string, { bytes, line, end }: Line): ReadRow | undefined =>
  pipe(
    textOf(bytes),
    E.chain((text): E.Either<string, Row['columns'] | undefined> => {
      const json = text.trim()
      if (json === '') return E.right(undefined)
      return line === 1 && json.startsWith('[')
        ? E.left(
            'it begins a JSON list; name the file .json, or write one row a line, without brackets and commas around them',
          )
        : pipe(
            columnsOf(json),
            E.mapLeft((why) =>
              json.startsWith('{') && !json.endsWith('}')
                ? `${why}; its object does not end on this line: write one row a line`
                : why,
            ),
          )
    }),
    E.foldW(
      (reason) => E.left(new RowError({ file, line }, reason)),
      (columns) => columns && E.right({ example: { columns, file, line }, next: { byte: end, line } }),
    ),
  )

/**
 * The rows of a JSONL file, perhaps compressed by gzip, once. Blank lines are passed over; a line that is no JSON object is a bad row. A place is the
 * byte and the lines before it. The run's identity has the file's path and size, and a checksum of what it holds.
 *
 * @throws RowsError where there is no such file; when it is opened, where it has another size than it had
 * @throws SourceError where it is opened at a place of another source, or behind the file's end
 * @category sources
 */
export const jsonl = (file: string, options: RowOptions = {}): Source<Row> =>
  fileRows('jsonl', file, options, 'line', async function* (place = { byte: 0, line: 0 }) {
    for await (const line of linesOf(file, place.byte, place.line)) {
      const row = rowOf(file, line)
      if (row !== undefined) yield row
    }
  })
