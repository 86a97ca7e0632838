/**
 * A published data set brought into a folder: its files, or those whose paths are asked for, each checked.
 *
 * @since 0.1.0
 */
import type * as TE from 'fp-ts/lib/TaskEither.js'
import { type Fetched, type FetchOptions, fetchFiles } from './fetch-files.ts'
import { HubError } from './hub-error.ts'
import type { Shelf, ShelfFile } from './shelf.ts'

/** Where from, where to, and which files. */
export interface FetchDatasetOptions extends FetchOptions {
  /**
   * Paths of files: `*` stands for any letters but `/`, `**` for any letters, `?` for one; a folder stands for all that is in
   * it. Default: all files but hidden ones.
   */
  readonly only?: readonly string[]
}

/** Whether a path is one that a pattern names. */
const matches = (pattern: string): ((path: string) => boolean) => {
  const letters = pattern
    .replace(/\/+$/, '')
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replace(/\*\*\/?|\*|\?/g, (wild) => (wild === '?' ? '[^/]' : wild === '*' ? '[^/]*' : '.*'))
  const whole = new RegExp(`^${letters}(/.*)?$`)
  return (path) => whole.test(path)
}

const isHidden = (path: string): boolean => path.split('/').some((part) => part.startsWith('.'))

/** The files that are asked for. Throws where a pattern names none. */
const chosen = (shelf: Shelf, only: readonly string[]): readonly ShelfFile[] => {
  const files = shelf.files.filter((f) => !isHidden(f.path))
  const some = only.map(matches)
  const idle = only.find((_, i) => !files.some((f) => some[i]!(f.path)))
  if (files.length === 0 || idle !== undefined) {
    const paths = files.map((f) => f.path)
    const listed = `${paths.slice(0, 6).join(', ')}${paths.length > 6 ? ` and ${paths.length - 6} more` : ''}`
    throw new HubError(
      'NotFound',
      files.length === 0
        ? `${shelf.name} has no files`
        : `${shelf.name} has no file '${idle}'; it has ${listed}`,
    )
  }
  return only.length === 0 ? files : files.filter((f) => some.some((is) => is(f.path)))
}

/**
 * Fetches a data set of the Hugging Face hub: all of its files, or those that `only` names, such as one split. What is here
 * already, what was cut short, and checksums are as with {@link fetchModel}. Nothing of it is run: what a data set's own
 * script would download is not there.
 *
 * Fails with {@link HubError}.
 *
 * @param name `<org>/<name>`
 * @category fetching
 */
export const fetchDataset = (name: string, options: FetchDatasetOptions): TE.TaskEither<HubError, Fetched> =>
  fetchFiles(
    { kind: 'dataset', name },
    options,
    { name: 'fetchDataset', options: ['only'] },
    {
      recursive: true,
      files: async (shelf) => chosen(shelf, options.only ?? []),
    },
  )
