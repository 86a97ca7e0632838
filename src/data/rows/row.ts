/**
 * A row of a user's own data, and what is wrong with a bad one.
 *
 * @since 0.1.0
 */
import * as t from 'io-ts'
import { givenFunction, givenSource } from '../given.ts'
import { type Placed, type Source, SourceError } from '../source.ts'
import { Whole } from '../whole-number.ts'
import { onlyRowOptions } from './row-options.ts'

/** A row: its columns by name, and where it stands. Paths in it are relative to the folder of its file. */
export interface Row {
  readonly columns: Readonly<Record<string, unknown>>
  /** The file that it was read from. */
  readonly file: string
  /** Its line, or where a file has no lines its number, from 1. */
  readonly line: number
}

/** Where a row stands, as `file:line`. */
export const placeOf = ({ file, line }: Pick<Row, 'file' | 'line'>): string => `${file}:${line}`

/** Letters of a reason: what it quotes of a row may be longer. */
const longestReason = 400

/** A reason without the middle of what is long: how it begins says what is wrong, and how it ends what to do. */
const cutShort = (reason: string): string =>
  reason.length <= longestReason
    ? reason
    : `${reason.slice(0, longestReason / 2)} … ${reason.slice(-longestReason / 2)}`

/** A row that cannot be used. The message has file, line and reason. */
export class RowError extends Error {
  readonly tag = 'BadRow'
  readonly file: string
  readonly line: number
  readonly reason: string
  constructor(at: Pick<Row, 'file' | 'line'>, why: string, cause?: unknown) {
    const reason = cutShort(why)
    super(`${placeOf(at)}: ${reason}`, cause === undefined ? undefined : { cause })
    this.name = 'RowError'
    this.file = at.file
    this.line = at.line
    this.reason = reason
  }
}

/** A file of rows that cannot be read at all. */
export class RowsError extends Error {
  readonly tag: 'NotFound' | 'Io' | 'BadFile' | 'Unsupported'
  readonly file: string
  constructor(tag: RowsError['tag'], file: string, what: string, cause?: unknown) {
    super(`${file}: ${cutShort(what)}`, cause === undefined ? undefined : { cause })
    this.name = 'RowsError'
    this.tag = tag
    this.file = file
  }
}

/** What happens to bad rows. */
export interface RowOptions {
  /** Is told of each bad row, which is left out. Default: the first bad row is thrown and ends the reading. */
  readonly onBadRow?: (bad: RowError) => void
}

/** The bad rows of a reading. */
export interface BadRows {
  /** Gives `onBadRow` of every reader. A row that is told again, as in a second pass, counts once. */
  readonly add: (bad: RowError) => void
  /** The first thousand, in the order in which they were met. */
  readonly list: readonly RowError[]
  /** All of them; of more than a million those behind count once a pass. */
  readonly count: number
}

/** Bad rows that are kept, and those of which it is known that they were met; the others are only counted. */
const [kept, known] = [1000, 1_000_000]

/**
 * Keeps account of bad rows.
 *
 * @example
 * const bad = badRows((row) => console.warn(row.message))
 * const rows = jsonl('mine.jsonl', { onBadRow: bad.add })
 *
 * @param tell is told of each that is kept, once
 * @category constructors
 */
export const badRows = (tell: (bad: RowError) => void = () => {}): BadRows => {
  const list: RowError[] = []
  const met = new Map<string, Set<number>>()
  let count = 0
  return {
    add: (bad) => {
      const lines = met.get(bad.file) ?? new Set()
      met.set(bad.file, lines)
      if (lines.has(bad.line)) return
      if (count++ < known) lines.add(bad.line)
      if (list.length >= kept) return
      list.push(bad)
      tell(bad)
    },
    get list() {
      return [...list]
    },
    get count() {
      return count
    },
  }
}

/** How often the first bad row comes again, and how many rows are read, before a source without a good row is given up. */
const [manyPasses, somePasses, manyRows] = [32, 3, 100_000]

/** Gives a source up that is repeated without end and has no good row: nobody would ever be given one. */
const barren = (): ((bad: RowError) => void) => {
  let [read, passes] = [0, 0]
  let first: RowError | undefined
  return (bad) => {
    first ??= bad
    read++
    if (bad.file === first.file && bad.line === first.line) passes++
    if (passes > manyPasses || (passes > somePasses && read >= manyRows))
      throw new RowsError(
        'BadFile',
        first.file,
        `no row can be used; the first that was met is line ${first.line}: ${first.reason}`,
        first,
      )
  }
}

/** Whether these are a run's own data, which have `onBadRow` and may be given whole. */
const areOwnData = (x: RowOptions): boolean =>
  typeof (x as { readonly rows?: unknown } | null)?.rows === 'function'

/** A place inside an example of which several are made: the place before it, and how many of them were given. */
const Inside = t.intersection([t.type({ pieces: Whole }), t.partial({ before: t.unknown })])
type Inside = t.TypeOf<typeof Inside>

const isInside = (place: unknown): place is Inside =>
  Inside.is(place) && Object.keys(place).every((key) => key === 'pieces' || key === 'before')

const inside = (before: unknown, pieces: number): Inside => ({
  pieces,
  ...(before === undefined ? {} : { before }),
})

/**
 * All that a function makes of each example, one after the other. A place is that of the source, and inside an example
 * `{ before, pieces }`. Everything else is as with {@link mapped}.
 *
 * @param where the function that was called, for messages
 * @throws SourceError where it is opened inside an example that has not as many
 */
export const mappedToMany = <A, B>(
  where: string,
  config: unknown,
  source: Source<A>,
  make: (example: A) => readonly B[] | Promise<readonly B[]>,
  options: RowOptions = {},
): Source<B> => {
  const { onBadRow } = areOwnData(options) ? options : onlyRowOptions(where, options)
  givenSource(where, 'source', source)
  return {
    config,
    async *open(place): AsyncGenerator<Placed<B>> {
      let { before, pieces: given } = isInside(place) ? place : inside(place, 0)
      let fruitless: ((bad: RowError) => void) | undefined = barren()
      for await (const { example, next } of source.open(before)) {
        let made: readonly B[] = []
        try {
          made = await make(example)
        } catch (e) {
          if (!(e instanceof RowError) || onBadRow === undefined) throw e
          onBadRow(e)
          fruitless?.(e)
        }
        if (given > 0 && given >= made.length)
          throw new SourceError(
            `${where} opens at { before, pieces } inside an example of ${made.length}, not at ${JSON.stringify(place)}`,
          )
        for (let i = given; i < made.length; i++) {
          fruitless = undefined
          const isLast = i + 1 === made.length
          // a place of the source that looks like one inside an example is told apart by having none given
          const behind = isInside(next) ? inside(next, 0) : next
          yield { example: made[i]!, next: isLast ? behind : inside(before, i + 1) }
        }
        before = next
        given = 0
      }
    },
  }
}

/**
 * What a function makes of each example. Where it throws a {@link RowError} the example is bad and left out; every other
 * error ends the reading. Places are those of the source. Of a source that is repeated and gives bad rows alone, a
 * {@link RowsError} ends the reading.
 *
 * @param config what the function is, as plain JSON data: it belongs to the run's identity
 * @param options who is told of bad rows; a run's `data` may be given whole
 * @category combinators
 */
export const mapped = <A, B>(
  config: unknown,
  source: Source<A>,
  make: (example: A) => B | Promise<B>,
  options: RowOptions = {},
): Source<B> => {
  givenFunction('mapped', 'make', make)
  return mappedToMany('mapped', config, source, async (example) => [await make(example)], options)
}
