/**
 * The user's own data as an experiment file receives it, and the rows of it that could not be used.
 *
 * @since 0.1.0
 */
import { catchError, concat, concatMap, defer, from, type MonoTypeOperatorFunction, throwError } from 'rxjs'
import {
  type BadRows,
  badRows,
  type Row,
  type RowError,
  RowsError,
  rowsOf,
  type Source,
} from '../data/index.ts'
import type { EventOf, RunEvent } from '../run/index.ts'
import { onlySettings } from '../settings/index.ts'
import { SettingError } from './setting-reader.ts'

/** What `--data` names, for an experiment file: `({ data }) => …`. */
export interface OwnData {
  /**
   * Its rows, as `rowsOf` of `sailwright/data` reads a file or a folder: JSON, tables, Parquet, WebDataset shards, images. Rows
   * that cannot be read are set aside, as {@link OwnData.onBadRow} does it.
   *
   * @param otherwise where `--data` is not given
   * @throws SettingError where neither is given, or `--data` names what has no rows
   * @throws RowsError where `otherwise` does
   */
  readonly rows: (otherwise?: string) => Source<Row>
  /** Its path alone, for a reader of one's own. */
  readonly path: (otherwise?: string) => string
  /**
   * Sets a row aside: it is counted, and named in the run's events, on the terminal and in the report. Under `--strict` it
   * throws, and the run stops. Give it to `conversations`, `questions`, `mapped`.
   *
   * @throws RowError under `--strict`
   */
  readonly onBadRow: (bad: RowError) => void
}

/** What the command line says of data. */
export interface DataOptions {
  /** `--data`. */
  readonly path?: string | undefined
  /** `--strict`: the first bad row stops the run. */
  readonly strict?: boolean
}

/** {@link OwnData} with what the command wants to know of it. */
export interface WatchedData extends OwnData {
  readonly bad: BadRows
  /** Whether the file asked for it. */
  readonly asked: () => boolean
  /** Bad rows of which it has not told yet. */
  readonly untold: () => readonly RowError[]
}

/** The user's own data from what the command line says. */
export const ownData = (options: DataOptions = {}): WatchedData => {
  const { path, strict = false } = onlySettings('ownData', options, ['path', 'strict'])
  let asked = false
  let waiting: RowError[] = []
  const bad = badRows((row) => waiting.push(row))
  const onBadRow = (row: RowError): void => {
    bad.add(row)
    if (strict) throw row
  }
  const named = (otherwise?: string): string => {
    asked = true
    const found = path ?? otherwise
    if (found !== undefined) return found
    throw new SettingError('--data <file or folder> is missing: the experiment trains on data of your own')
  }
  return {
    ...{ bad, onBadRow, path: named, asked: () => asked },
    rows: (otherwise) => {
      const found = named(otherwise)
      try {
        return rowsOf(found, { onBadRow })
      } catch (e) {
        throw path !== undefined && e instanceof RowsError ? new SettingError(`--data ${e.message}`) : e
      }
    },
    untold: () => {
      const told = waiting
      waiting = []
      return told
    },
  }
}

const eventOf = ({ file, line, reason }: RowError): EventOf<'bad-row'> => ({
  ...{ type: 'bad-row', file, line, reason },
})

/**
 * Tells of bad rows among a run's events: of each before the event that comes after it was met, and of their number before
 * the run's end. Those that an earlier start has told of are counted and not told again.
 *
 * ```
 * events     --a-----b--------F|
 * bad rows   ----x-----y-------
 * out        --a----(xb)-----(ynF)|      n: their number
 * ```
 *
 * @category operators
 */
export const withBadRows =
  (
    data: Pick<WatchedData, 'bad' | 'untold'>,
    earlier: readonly RunEvent[] = [],
  ): MonoTypeOperatorFunction<RunEvent> =>
  (events) =>
    defer(() => {
      const place = ({ file, line }: { readonly file: string; readonly line: number }) => `${file}\n${line}`
      const known = new Set(earlier.flatMap((e) => (e.type === 'bad-row' ? [place(e)] : [])))
      const before = known.size
      let again = 0
      const told = (): readonly RunEvent[] =>
        data.untold().flatMap((row) => {
          if (!known.has(place(row))) return [eventOf(row)]
          again++
          return []
        })
      const number = (): readonly RunEvent[] => {
        const count = before + data.bad.count - again
        return count === 0 ? [] : [{ type: 'bad-rows', count }]
      }
      return events.pipe(
        concatMap((event) => [...told(), ...(event.type === 'run-finished' ? number() : []), event]),
        catchError((e: unknown) =>
          concat(
            defer(() => from([...told(), ...number()])),
            throwError(() => e),
          ),
        ),
      )
    })
