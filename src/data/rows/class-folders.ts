/**
 * Images in a folder for each class, as torchvision's `ImageFolder` has them.
 *
 * @since 0.1.0
 */
import { createHash } from 'node:crypto'
import { readdirSync, statSync } from 'node:fs'
import { join, sep } from 'node:path'
import * as t from 'io-ts'
import { isImageName } from '../read-image.ts'
import { type Placed, type Source, SourceError } from '../source.ts'
import { Whole } from '../whole-number.ts'
import { type Row, RowsError } from './row.ts'
import { splitOf } from './split-name.ts'

const hash = (text: string): string => createHash('sha256').update(text).digest('hex')

/** What is at a path; undefined where a link leads nowhere. */
const seen = (path: string) => statSync(path, { throwIfNoEntry: false })

/** The folders inside a folder, but hidden ones. */
export const foldersIn = (folder: string): readonly string[] =>
  readdirSync(folder)
    .filter((name) => !name.startsWith('.') && seen(join(folder, name))?.isDirectory() === true)
    .sort()

/** Images below a class's folder, as paths from the whole folder on. */
const imagesOf = (folder: string, label: string): readonly string[] =>
  readdirSync(join(folder, label), { recursive: true, encoding: 'utf8' })
    .filter((name) => isImageName(name) && !name.split(sep).some((part) => part.startsWith('.')))
    .map((name) => [label, ...name.split(sep)].join('/'))

const Place = t.strict({ row: Whole })

/**
 * The images of a folder whose folders are called by their class, once. A row has `image`, a path from the folder on, and
 * `label`, the name of the folder inside it; its line is its number from 1. Classes are mixed: the order is that of a hash of
 * the paths. A place is the rows before it. The run's identity has a checksum of all paths and sizes.
 *
 * @throws RowsError where there are no images in folders, or the folders are splits (`train`, `test`)
 * @throws SourceError where it is opened at a place of another source, or behind its end
 */
export const classFolders = (folder: string): Source<Row> => {
  const labels = foldersIn(folder)
  const splits = labels.filter((name) => splitOf(name) === name.toLowerCase())
  if (splits.length > 0)
    throw new RowsError(
      'BadFile',
      folder,
      `it has a folder for each split (${splits.join(', ')}); give one of them`,
    )
  const images = labels.flatMap((label) =>
    imagesOf(folder, label).map((image) => ({ label, image, order: hash(image) })),
  )
  if (images.length === 0)
    throw new RowsError(
      'BadFile',
      folder,
      'there is no image in the folders inside it; give a folder of images for each class',
    )
  images.sort((a, b) => (a.order < b.order ? -1 : 1))
  const listing = hash(images.map(({ image }) => `${image}\0${seen(join(folder, image))?.size}\n`).join(''))
  return {
    config: { kind: 'classFolders', folder, images: images.length, listing },
    async *open(place = { row: 0 }): AsyncGenerator<Placed<Row>> {
      if (!Place.is(place) || place.row > images.length)
        throw new SourceError(
          `${folder} opens at { row } inside it, not at ${JSON.stringify(place)}; is it the folder of this run?`,
        )
      for (const [i, { label, image }] of images.slice(place.row).entries()) {
        const row = place.row + i + 1
        yield { example: { columns: { image, label }, file: join(folder, label), line: row }, next: { row } }
      }
    },
  }
}
