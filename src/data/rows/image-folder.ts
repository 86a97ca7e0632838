/**
 * A folder of images with a table of what belongs to them, as Hugging Face's `imagefolder` has it.
 *
 * @since 0.1.0
 */
import { join } from 'node:path'
import type { Source } from '../source.ts'
import { jsonl } from './jsonl.ts'
import { mapped, type Row, RowError, type RowOptions } from './row.ts'
import { onlyRowOptions } from './row-options.ts'

/**
 * The rows of a folder's `metadata.jsonl`. Each has `file_name`, a path inside the folder, and further columns; the row's
 * `image` is that path. A row without `file_name` is bad.
 *
 * @throws RowsError where the folder has no `metadata.jsonl`
 * @category sources
 */
export const imageFolder = (folder: string, options: RowOptions = {}): Source<Row> => {
  onlyRowOptions('imageFolder', options)
  const table = jsonl(join(folder, 'metadata.jsonl'), options)
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
