/**
 * Shards of WebDataset: tar archives in which the files of one sample stand beside each other under one name.
 *
 * @since 0.1.0
 */
import * as E from 'fp-ts/lib/Either.js'
import * as t from 'io-ts'
import { parseJson } from '../../formats/index.ts'
import { isImageName } from '../read-image.ts'
import { type Placed, type Source, SourceError } from '../source.ts'
import { Whole } from '../whole-number.ts'
import { isGzip } from './blocks.ts'
import { fileSize, unchanged } from './file-size.ts'
import { type Row, RowError, type RowOptions } from './row.ts'
import { onlyRowOptions } from './row-options.ts'
import { type TarFile, tarFiles } from './tar.ts'

/** A name up to the first dot behind its folders, and what follows that dot. */
const splitName = (name: string): readonly [key: string, extension: string] => {
  const dot = name.indexOf('.', name.lastIndexOf('/') + 1)
  return dot < 0 ? [name, ''] : [name.slice(0, dot), name.slice(dot + 1).toLowerCase()]
}

/** The files of one sample as columns. */
const rowOf = (at: Pick<Row, 'file' | 'line'>, key: string, files: readonly TarFile[]): Row => {
  const columns: Record<string, unknown> = {}
  const images: Uint8Array[] = []
  for (const { name, bytes } of files) {
    const [, extension] = splitName(name)
    if (isImageName(name)) images.push(Uint8Array.from(bytes))
    else if (/^(txt|cls|id)$/.test(extension)) columns[extension] = bytes.toString('utf8').trimEnd()
    else if (extension === 'json') {
      const json = parseJson(bytes.toString('utf8'))
      if (E.isLeft(json)) throw new RowError(at, `${name} is no JSON (${json.left})`)
      if (!t.UnknownRecord.is(json.right)) throw new RowError(at, `${name} is no JSON object`)
      Object.assign(columns, json.right)
    } else columns[extension] = Uint8Array.from(bytes)
  }
  if (images.length === 1) columns.image = images[0]
  if (images.length > 1) columns.images = images
  return { columns: { ...columns, __key__: key }, ...at }
}

const Place = t.strict({ byte: Whole, sample: Whole })

/**
 * The samples of a shard (`.tar`, or compressed as `.tar.gz`) as rows, once. A row's columns are those of the sample's `.json`; its image is `image`, several
 * are `images`; `.txt`, `.cls` and `.id` are texts; further files are bytes under their extension; `__key__` is its name. A
 * row's line is the sample's number.  A place is the byte (of
 * what is compressed, decompressed) and the samples before it. One sample is in memory at a time.
 *
 * @throws RowsError where there is no such file, or it is no archive
 * @throws SourceError where it is opened at a place of another source, or behind the file's end
 * @category sources
 */
export const webDataset = (file: string, options: RowOptions = {}): Source<Row> => {
  const { onBadRow } = onlyRowOptions('webDataset', options)
  const size = fileSize(file)
  return {
    config: { kind: 'webDataset', file, bytes: size },
    async *open(place = { byte: 0, sample: 0 }): AsyncGenerator<Placed<Row>> {
      unchanged(file, size)
      if (!Place.is(place) || (place.byte > size && !isGzip(file)))
        throw new SourceError(
          `${file} opens at { byte, sample } inside it, not at ${JSON.stringify(place)}; is it the file of this run?`,
        )
      let { sample } = place
      let files: TarFile[] = []
      const finished = (): Placed<Row> | undefined => {
        const [first] = files
        if (first === undefined) return undefined
        const [own, end] = [files, files.at(-1)!.end]
        files = []
        sample++
        try {
          const example = rowOf({ file, line: sample }, splitName(first.name)[0], own)
          return { example, next: { byte: end, sample } }
        } catch (e) {
          if (!(e instanceof RowError) || onBadRow === undefined) throw e
          onBadRow(e)
          return undefined
        }
      }
      for await (const one of tarFiles(file, place.byte)) {
        if (files.length > 0 && splitName(files[0]!.name)[0] !== splitName(one.name)[0]) {
          const row = finished()
          if (row !== undefined) yield row
        }
        files.push(one)
      }
      const row = finished()
      if (row !== undefined) yield row
    },
  }
}
