/**
 * What readers of files of rows share: a size that stays, places inside the file, bad rows told.
 *
 * @since 0.1.0
 */
import * as E from 'fp-ts/lib/Either.js'
import * as t from 'io-ts'
import { type Placed, type Source, SourceError } from '../source.ts'
import { Whole } from '../whole-number.ts'
import { isGzip } from './blocks.ts'
import { fileSize, unchanged } from './file-size.ts'
import { type Row, RowError, type RowOptions } from './row.ts'
import { onlyRowOptions } from './row-options.ts'

/** A place: the byte at which reading goes on, and how many lines, rows or samples are before it. */
export type BytePlace<K extends string> = Readonly<Record<'byte' | K, number>>

/** A row with the place behind it, or why it is bad. */
export type ReadRow = E.Either<RowError, Placed<Row>>

/** Lists and records inside one another: what reads rows, and writes them, goes down into them, and the stack ends. */
const deepest = 500

/** Every row is looked through: `for … in` goes over a record without making a list of it, in a third of the time. */
const isDeeper = (value: unknown, than: number): boolean => {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return false
  if (than === 0) return true
  if (Array.isArray(value)) return value.some((inner) => isDeeper(inner, than - 1))
  const record = value as Readonly<Record<string, unknown>>
  for (const key in record) if (isDeeper(record[key], than - 1)) return true
  return false
}

/** A row that nests no deeper than can be read. */
const shallow = (row: ReadRow): ReadRow =>
  E.isRight(row) && isDeeper(row.right.example.columns, deepest)
    ? E.left(
        new RowError(
          row.right.example,
          `lists and records nest more than ${deepest} deep in it; take it out`,
        ),
      )
    : row

/**
 * A file of rows as a source. The run's identity has the file's path and size, and a checksum of what it holds.
 *
 * @param counted what a place counts beside bytes
 * @param rows the rows from a place on, or from the file's beginning
 * @throws RowsError where there is no such file; when it is opened, where it has another size than it had
 * @throws SourceError where it is opened at a place of another source, or behind the file's end
 */
export const fileRows = <K extends string>(
  kind: string,
  file: string,
  options: RowOptions,
  counted: K,
  rows: (place: BytePlace<K> | undefined) => AsyncIterable<ReadRow>,
): Source<Row> => {
  const { onBadRow } = onlyRowOptions(kind, options)
  const bytes = fileSize(file)
  const Place = t.intersection([t.strict({ byte: Whole }), t.strict({ [counted]: Whole })])
  const isInside = (place: unknown): place is BytePlace<K> =>
    Place.is(place) && (place.byte <= bytes || isGzip(file))
  return {
    config: { kind, file, bytes },
    async *open(place): AsyncGenerator<Placed<Row>> {
      unchanged(file, bytes)
      if (place !== undefined && !isInside(place))
        throw new SourceError(
          `${file} opens at { byte, ${counted} } inside it, not at ${JSON.stringify(place)}; is it the file of this run?`,
        )
      for await (const read of rows(place)) {
        const row = shallow(read)
        if (E.isRight(row)) yield row.right
        else if (onBadRow === undefined) throw row.left
        else onBadRow(row.left)
      }
    },
  }
}
