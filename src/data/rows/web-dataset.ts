/**
 * Shards of WebDataset: tar archives in which the files of one sample stand beside each other under one name.
 *
 * @since 0.1.0
 */
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import * as t from 'io-ts'
import { parseJson } from '../../formats/index.ts'
import { isImageName } from '../read-image.ts'
import type { Source } from '../source.ts'
import { fileRows } from './file-rows.ts'
import { type Row, RowError, type RowOptions } from './row.ts'
import { type TarFile, tarFiles } from './tar.ts'

/** A name up to the first dot behind its folders, and what follows that dot. */
const splitName = (name: string): readonly [key: string, extension: string] => {
  const dot = name.indexOf('.', name.lastIndexOf('/') + 1)
  return dot < 0 ? [name, ''] : [name.slice(0, dot), name.slice(dot + 1).toLowerCase()]
}

/** What is no file of a sample, as WebDataset's own reader has it: hidden files, such as macOS puts beside each, names without a dot, folders as `__MACOSX`. */
const isBeside = (name: string): boolean =>
  !/(^|\/)[^./][^/]*\.[^/]*$/.test(name) || /(^|\/)__(MACOSX|[^/]*__)(\/|$)/.test(name)

/** The files of one sample as columns, or why they are none. */
const columnsOf = (key: string, files: readonly TarFile[]): E.Either<string, Row['columns']> => {
  const columns: Record<string, unknown> = {}
  const images: Uint8Array[] = []
  for (const { name, bytes } of files) {
    const [, extension] = splitName(name)
    if (isImageName(name)) images.push(Uint8Array.from(bytes))
    else if (/^(txt|cls|id)$/.test(extension)) columns[extension] = bytes.toString('utf8').trimEnd()
    else if (extension === 'json') {
      const json = parseJson(bytes.toString('utf8'))
      if (E.isLeft(json)) return E.left(`${name} is no JSON (${json.left})`)
      if (!t.UnknownRecord.is(json.right)) return E.left(`${name} is no JSON object`)
      Object.assign(columns, json.right)
    } else columns[extension] = Uint8Array.from(bytes)
  }
  if (images.length === 1) columns.image = images[0]
  if (images.length > 1) columns.images = images
  return E.right({ ...columns, __key__: key })
}

/** The samples of an archive from a byte on: files beside each other under one name. */
async function* samplesOf(file: string, byte: number) {
  let key = ''
  let files: TarFile[] = []
  for await (const one of tarFiles(file, byte)) {
    if (isBeside(one.name)) continue
    const [name] = splitName(one.name)
    if (files.length > 0 && name !== key) {
      yield { key, files }
      files = []
    }
    key = name
    files.push(one)
  }
  if (files.length > 0) yield { key, files }
}

/**
 * The samples of a shard (`.tar`, or compressed as `.tar.gz`) as rows, once. A row's columns are those of the sample's `.json`; its image is `image`, several
 * are `images`; `.txt`, `.cls` and `.id` are texts; further files are bytes under their extension; `__key__` is its name. A
 * row's line is the sample's number. Hidden files, and names without a dot, are of no sample. A place is the byte (of
 * what is compressed, decompressed) and the samples before it. One sample is in memory at a time.
 *
 * @throws RowsError where there is no such file, or it is no archive
 * @throws SourceError where it is opened at a place of another source, or behind the file's end
 * @category sources
 */
export const webDataset = (file: string, options: RowOptions = {}): Source<Row> =>
  fileRows('webDataset', file, options, 'sample', async function* (place = { byte: 0, sample: 0 }) {
    let { sample } = place
    for await (const { key, files } of samplesOf(file, place.byte)) {
      const at = { file, line: ++sample }
      const next = { byte: files.at(-1)!.end, sample }
      yield pipe(
        columnsOf(key, files),
        E.bimap(
          (reason) => new RowError(at, reason),
          (columns) => ({ example: { columns, ...at }, next }),
        ),
      )
    }
  })
