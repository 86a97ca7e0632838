/**
 * A folder of images, with a table of what belongs to them or in folders by class, as Hugging Face's `imagefolder` has it.
 *
 * @since 0.1.0
 */
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Source } from '../source.ts'
import { classFolders } from './class-folders.ts'
import { csv } from './csv.ts'
import { jsonl } from './jsonl.ts'
import { parquet } from './parquet.ts'
import { mapped, type Row, RowError, type RowOptions, RowsError } from './row.ts'
import { onlyRowOptions } from './row-options.ts'

const tables = [
  ['metadata.jsonl', jsonl],
  ['metadata.csv', csv],
  ['metadata.parquet', parquet],
] as const

const tablesIn = (folder: string) => tables.filter(([name]) => existsSync(join(folder, name)))

/** Whether a folder has a table of its images. */
export const hasTable = (folder: string): boolean => tablesIn(folder).length > 0

/**
 * The rows of a folder's `metadata.jsonl`, `metadata.csv` or `metadata.parquet`. Each has `file_name`, a path inside the
 * folder, and further columns; the row's `image` is that path. A row without `file_name` is bad. Without such a table the
 * folders inside are classes: a row for each image has `image` and `label`, the name of its folder; their order mixes classes.
 *
 * @throws RowsError where the folder has neither, or several tables
 * @category sources
 */
export const imageFolder = (folder: string, options: RowOptions = {}): Source<Row> => {
  onlyRowOptions('imageFolder', options)
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory())
    throw new RowsError('NotFound', folder, 'there is no such folder; check the path')
  const [found, other] = tablesIn(folder)
  if (found === undefined) return classFolders(folder)
  if (other !== undefined)
    throw new RowsError('BadFile', folder, `it has ${found[0]} and ${other[0]}; leave one of them`)
  const table = found[1](join(folder, found[0]), options)
  return mapped(
    { kind: 'imageFolder', table: table.config },
    table,
    (row): Row => {
      const { file_name } = row.columns
      if (typeof file_name === 'string' && file_name !== '')
        return { ...row, columns: { ...row.columns, image: file_name } }
      throw new RowError(row, 'it has no file_name; name the image inside the folder')
    },
    options,
  )
}
