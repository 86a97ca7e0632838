/**
 * Rows of whatever a user has: a file or a folder of a kind that is seen from its name.
 *
 * @since 0.1.0
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { chained } from '../chained.ts'
import type { Placed, Source } from '../source.ts'
import { foldersIn } from './class-folders.ts'
import { csv } from './csv.ts'
import { seenAt } from './file-size.ts'
import { hasTable, imageFolder } from './image-folder.ts'
import { beginsList, jsonList } from './json-list.ts'
import { jsonl } from './jsonl.ts'
import { parquet } from './parquet.ts'
import { type Row, type RowError, type RowOptions, RowsError } from './row.ts'
import { onlyRowOptions } from './row-options.ts'
import { splitOf } from './split-name.ts'
import { webDataset } from './web-dataset.ts'

const kinds: readonly (readonly [
  kind: string,
  name: RegExp,
  read: (file: string, options: RowOptions) => Source<Row>,
])[] = [
  ['JSONL', /\.(jsonl|ndjson)(\.gz)?$/i, jsonl],
  ['Parquet', /\.(parquet|pq)$/i, parquet],
  ['WebDataset', /\.(tar|tar\.gz|tgz)$/i, webDataset],
  ['table', /\.(csv|tsv)(\.gz)?$/i, csv],
  ['JSON', /\.json(\.gz)?$/i, (file, options) => (beginsList(file) ? jsonList : jsonl)(file, options)],
]

const what =
  'give JSONL (.jsonl), a JSON list (.json), a table (.csv, .tsv), Parquet (.parquet), WebDataset shards (.tar, .tar.gz), or a folder of such files, of images with metadata.jsonl, or of images in folders by class'

/** What is said of Arrow's files, which `datasets` saves and keeps in its cache. */
const arrow = (some: string): string =>
  `${some} is how Python's datasets saves to disk, which is not read; write it as Parquet: load_from_disk('…').to_parquet('train.parquet'), of one split`

const isArrow = (name: string): boolean => /\.arrow$/i.test(name)

/** What Hugging Face writes beside a data set's files. */
const aboutData = /^(dataset_infos?|dataset_dict|state|config)\.json$/

/** The files of rows in a folder, all of one kind and one split. JSON is taken for rows where nothing else is. */
const filesIn = (folder: string) => {
  const bad = (why: string): RowsError => new RowsError('BadFile', folder, why)
  const names = readdirSync(folder)
    .filter((name) => !name.startsWith('.') && !aboutData.test(name))
    .sort()
  const all = names.flatMap((name) => {
    const kind = kinds.find(([, pattern]) => pattern.test(name))
    return kind === undefined ? [] : [{ name, kind: kind[0], read: kind[2] }]
  })
  const others = all.filter(({ kind }) => kind !== 'JSON')
  const files = others.length === 0 ? all : others
  const first = files[0]
  const saved = names.find(isArrow)
  if (first === undefined && saved !== undefined) throw bad(arrow(saved))
  if (first === undefined)
    throw bad(
      `it has no rows${names.length === 0 ? '' : `, only ${names.slice(0, 4).join(', ')}${names.length > 4 ? ' …' : ''}`}; ${what}`,
    )
  const other = files.find(({ kind }) => kind !== first.kind)
  if (other !== undefined)
    throw bad(`it has ${first.name} and ${other.name}; give a folder with files of one kind`)
  const splits = [...new Set(files.map(({ name }) => splitOf(name)))]
  if (splits.length > 1)
    throw bad(
      `it has files of several splits (${splits.map((s) => s || 'none').join(', ')}); give one file, or a folder for each split`,
    )
  return files
}

const hasFiles = (folder: string): boolean =>
  readdirSync(folder).some(
    (name) =>
      !name.startsWith('.') &&
      !aboutData.test(name) &&
      (isArrow(name) || kinds.some(([, pattern]) => pattern.test(name))),
  )

const ofFolder = (folder: string, options: RowOptions): Source<Row> => {
  if (hasTable(folder)) return imageFolder(folder, options)
  const inside = hasFiles(folder) ? [] : foldersIn(folder)
  const withFiles = inside.filter((name) => hasFiles(join(folder, name)))
  if (withFiles.length > 0)
    throw new RowsError(
      'BadFile',
      folder,
      `its rows are in folders inside it (${withFiles.join(', ')}); give one of them`,
    )
  if (inside.length > 0) return imageFolder(folder, options)
  const files = filesIn(folder)
  const sources = files.map(({ name, read }) => read(join(folder, name), options))
  return sources.length === 1 ? sources[0]! : chained(sources)
}

/** A source that, read from its beginning to its end without a row, says whose rows there are none of. */
const some = (
  path: string,
  source: (options: RowOptions) => Source<Row>,
  options: RowOptions,
): Source<Row> => {
  let bad: RowError | undefined
  const { onBadRow } = options
  const tell = (row: RowError): void => {
    bad ??= row
    onBadRow?.(row)
  }
  const rows = source(onBadRow === undefined ? options : { ...options, onBadRow: tell })
  return {
    config: rows.config,
    async *open(place): AsyncGenerator<Placed<Row>> {
      let none = place === undefined
      for await (const placed of rows.open(place)) {
        none = false
        yield placed
      }
      if (none)
        throw new RowsError(
          'BadFile',
          path,
          bad === undefined
            ? 'it has no rows; give a file with at least one'
            : `none of its rows can be used; the first bad one is ${bad.file === path ? `line ${bad.line}: ${bad.reason}` : bad.message}`,
        )
    },
  }
}

/**
 * The rows of a file or a folder, by what its name says that it is: `.jsonl`, `.ndjson` ({@link jsonl}, `.gz` too),
 * `.json` ({@link jsonList}, or JSONL where it begins no list; `.gz` too), `.csv`, `.tsv` ({@link csv}, `.gz` too), `.parquet`
 * ({@link parquet}), `.tar`, `.tar.gz`, `.tgz` ({@link webDataset}); a folder with a `metadata.jsonl` or with images in folders
 * by class ({@link imageFolder}), or with files of one of those kinds, one after the other by name.
 *
 * @throws RowsError where there is nothing, where it is of another kind, where a folder's files are of several kinds or
 *   splits (`train-…`, `test-…`); while it is read, where it ends without a row
 * @category sources
 */
export const rowsOf = (path: string, options: RowOptions = {}): Source<Row> => {
  onlyRowOptions('rowsOf', options)
  if (/^\w+:\/\//.test(path))
    throw new RowsError(
      'Unsupported',
      path,
      'nothing is fetched from the net: fetch it first, and give a path',
    )
  if (seenAt(path, 'file or folder').isDirectory()) return some(path, (o) => ofFolder(path, o), options)
  const kind = kinds.find(([, pattern]) => pattern.test(path))
  if (kind !== undefined) return some(path, (o) => kind[2](path, o), options)
  throw new RowsError('Unsupported', path, isArrow(path) ? arrow('a file .arrow') : what)
}
