/**
 * A published model brought into a folder: the files that reading, training and exporting it need, each checked.
 *
 * @since 0.1.0
 */
import * as E from 'fp-ts/lib/Either.js'
import type * as TE from 'fp-ts/lib/TaskEither.js'
import { parseJson } from '../json.ts'
import { indexName } from '../safetensors-index.ts'
import { type Fetched, type FetchOptions, fetchFiles } from './fetch-files.ts'
import { HubError } from './hub-error.ts'
import type { Shelf, ShelfFile } from './shelf.ts'
import { shardsOf, wantedOf } from './wanted.ts'

/** Where from, where to, and which files. */
export interface FetchModelOptions extends FetchOptions {
  /** All files that are there; default: those that a model needs. */
  readonly all?: boolean
}

const orThrow = <A>(e: E.Either<HubError, A>): A => {
  if (E.isLeft(e)) throw e.left
  return e.right
}

/** The files that a model needs, with the shards that its index names. */
const needed = async (
  shelf: Shelf,
  read: (file: ShelfFile) => Promise<string>,
): Promise<readonly ShelfFile[]> => {
  const wanted = orThrow(wantedOf(shelf))
  const index = wanted.find((f) => f.path === indexName)
  if (index === undefined) return wanted
  const json = E.mapLeft(
    (why: string) => new HubError('NoModel', `${shelf.name}: its ${indexName} is no JSON (${why})`),
  )(parseJson(await read(index)))
  return [...wanted, ...orThrow(shardsOf(shelf, orThrow(json)))]
}

/**
 * Fetches a model of the Hugging Face hub: `config.json`, the tokenizer's and processor's files, and the weights as
 * safetensors. What is here already and whole is not fetched again; a file that was cut short goes on at the byte where it
 * ended, in this call and in the next one; each file is compared with the checksum that the hub tells (SHA-256 of large
 * files, git's SHA-1 of small ones) before it gets its name.
 *
 * Fails with {@link HubError}.
 *
 * @param name `<org>/<name>`
 * @category fetching
 */
export const fetchModel = (name: string, options: FetchModelOptions): TE.TaskEither<HubError, Fetched> => {
  // what is no record is refused below
  const all = options?.all ?? false
  return fetchFiles(
    { kind: 'model', name },
    options,
    { name: 'fetchModel', options: ['all'] },
    {
      recursive: all,
      files: async (shelf, read) => (all ? shelf.files : await needed(shelf, read)),
    },
  )
}
