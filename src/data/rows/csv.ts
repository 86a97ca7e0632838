/**
 * Rows of a table as text, with columns between commas or tabs.
 *
 * @since 0.1.0
 */
import { Readable } from 'node:stream'
import * as E from 'fp-ts/lib/Either.js'
import type { Source } from '../source.ts'
import { blocksOf, startOf } from './blocks.ts'
import { fileRows, type ReadRow } from './file-rows.ts'
import { type Row, RowError, type RowOptions, RowsError } from './row.ts'
import { textOf } from './row-of-json.ts'

/** The fields of a record, the byte behind it, and the line at which it ends. */
interface TextRecord {
  readonly fields: readonly Buffer[]
  readonly end: number
  readonly line: number
}

/** Bytes of one record; a quote that is never closed would gather the whole file. */
const longestRecord = 2 ** 28

const delimiterOf = (file: string): string => (/\.tsv(\.gz)?$/i.test(file) ? '\t' : ',')

/** The records of a file from a byte on, of which so many lines are before it. */
async function* recordsOf(file: string, byte: number, line: number): AsyncGenerator<TextRecord> {
  const { parse } = await import('csv-parse')
  const blocks = Readable.from(blocksOf(file, byte))
  const parser = parse({
    ...{ delimiter: delimiterOf(file), encoding: null, info: true, max_record_size: longestRecord },
    // a quote inside a field that does not begin with one is a letter, as spreadsheets and pandas have it
    ...{ relax_column_count: true, relax_quotes: true, skip_empty_lines: true },
  })
  blocks.on('error', (e) => parser.destroy(e))
  let last = line
  try {
    for await (const { record, info } of blocks.pipe(parser)) {
      last = line + info.lines
      yield { fields: record, end: byte + info.bytes, line: last }
    }
  } catch (e) {
    const { code = '', message } = e as NodeJS.ErrnoException
    if (!code.startsWith('CSV_')) throw e
    const what =
      code === 'CSV_QUOTE_NOT_CLOSED'
        ? `a quote that opens behind line ${last} is never closed`
        : `it cannot be read as a table (${message})`
    throw new RowsError('BadFile', file, what, e)
  } finally {
    parser.destroy()
    blocks.destroy()
  }
}

/** How often a newline stands in it. */
const newlines = (field: Buffer): number => {
  let n = 0
  for (let at = field.indexOf(10); at >= 0; at = field.indexOf(10, at + 1)) n++
  return n
}

const textsOf = (fields: readonly Buffer[]): E.Either<string, readonly string[]> =>
  E.traverseArray(textOf)(fields)

/** The names of columns, from the first record. Throws where they cannot be told. */
const headerOf = (file: string, { fields }: TextRecord): readonly string[] => {
  const bad = (what: string): RowsError => new RowsError('BadFile', file, what)
  const names = textsOf(fields)
  if (E.isLeft(names)) throw bad(names.left)
  if (names.right.some((n) => n.includes('\0'))) throw bad('it is not UTF-8; save the file as UTF-8')
  const [first, ...others] = names.right
  if (others.length === 0 && /[;\t,|]/.test(first ?? ''))
    throw bad(
      `its first line is one column, '${first}'; columns stand between commas in .csv and between tabs in .tsv`,
    )
  const twice = names.right.find((name, i) => name !== '' && names.right.indexOf(name) < i)
  if (twice !== undefined) throw bad(`it has two columns '${twice}'; give each a name of its own`)
  return names.right
}

/** The names of a file's columns, and what is behind them; undefined where it is empty. */
const columnsOf = async (file: string) => {
  // a mark that says UTF-8
  const begin = startOf(file).indexOf('\ufeff') === 0 ? 3 : 0
  for await (const record of recordsOf(file, begin, 0)) return { ...record, names: headerOf(file, record) }
  return undefined
}

const rowOf = (file: string, names: readonly string[], { fields, end, line }: TextRecord): ReadRow => {
  const inside = fields.reduce((n, f) => n + newlines(f), 0)
  const at = { file, line: line - inside }
  const bad = (reason: string): ReadRow => E.left(new RowError(at, reason))
  if (fields.length !== names.length)
    return bad(
      `it has ${fields.length} values and there are ${names.length} columns; is a comma not between quotes?`,
    )
  const texts = textsOf(fields)
  if (E.isLeft(texts)) return bad(texts.left)
  const named = names.flatMap((name, i) => (name === '' ? [] : [[name, texts.right[i]!] as const]))
  return E.right({ example: { columns: Object.fromEntries(named), ...at }, next: { byte: end, line } })
}

/**
 * The rows of a table as text (`.csv`; `.tsv` has tabs between its columns), perhaps compressed by gzip, once. The first line
 * names the columns; every value is a text. Texts with commas, newlines or quotes stand between quotes, with `""` for a quote.
 * A column without a name, such as the index that pandas writes, is left out. A row with more or fewer values than there are
 * columns is a bad row. A row's line is that at which it begins. A place is the byte and the lines before it. The run's
 * identity has the file's path and size, and a checksum of what it holds.
 *
 * @throws RowsError where there is no such file; while it is read, where it is no table
 * @throws SourceError where it is opened at a place of another source, or behind the file's end
 * @category sources
 */
export const csv = (file: string, options: RowOptions = {}): Source<Row> =>
  fileRows('csv', file, options, 'line', async function* (place) {
    const header = await columnsOf(file)
    if (header === undefined) return
    const { byte, line } = place ?? { byte: header.end, line: header.line }
    for await (const record of recordsOf(file, byte, line)) yield rowOf(file, header.names, record)
  })
