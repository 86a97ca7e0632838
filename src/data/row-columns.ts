/**
 * The columns of a row, read by their names.
 *
 * @since 0.1.0
 */
import type * as t from 'io-ts'
import { type Row, RowError } from './rows/row.ts'

/** A value without the bytes in it, which as JSON are more letters than a text can have. */
const withoutBytes = (u: unknown): unknown =>
  u instanceof Uint8Array
    ? `${u.length} bytes`
    : Array.isArray(u)
      ? u.map(withoutBytes)
      : typeof u === 'object' && u !== null
        ? Object.fromEntries(Object.entries(u).map(([key, v]) => [key, withoutBytes(v)]))
        : u

/** A value as a reason quotes it. */
export const shown = (u: unknown): string => {
  if (u instanceof Uint8Array) return `${u.length} bytes`
  const text = JSON.stringify(withoutBytes(u)) ?? String(u)
  return text.length <= 60 ? text : `${text.slice(0, 57)}...`
}

/** Whether a value says something: data sets fill columns that a row has no use for with null, '' or an empty list. */
export const saysSomething = (value: unknown): boolean =>
  value != null && value !== '' && !(Array.isArray(value) && value.length === 0)

/** Reads the columns of one row; every `fail` says what is wrong with it. */
export const rowColumns = (row: Row) => {
  const fail = (reason: string): never => {
    throw new RowError(row, reason)
  }

  /** Rows of several kinds in one file share their columns: those of the other kinds say nothing. */
  const has = (name: string): boolean => saysSomething(row.columns[name])

  const column = <A>(name: string, codec: t.Type<A, unknown>, what: string): A => {
    const value = row.columns[name]
    return codec.is(value) ? value : fail(`its ${name} is ${shown(value)}; give ${what}`)
  }

  return { row, fail, has, column }
}
export type RowColumns = ReturnType<typeof rowColumns>
