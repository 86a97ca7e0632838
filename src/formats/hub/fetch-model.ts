/**
 * A published model brought into a folder: the files that reading, training and exporting it need, each checked.
 *
 * @since 0.1.0
 */
import { readFile, statfs } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import * as E from 'fp-ts/lib/Either.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { onlySettings } from '../../settings/index.ts'
import { makeFolder } from '../folder.ts'
import { parseJson } from '../json.ts'
import { indexName } from '../safetensors-index.ts'
import { folderShelf } from './folder-shelf.ts'
import { HubError, hubErrorOf } from './hub-error.ts'
import { hubShelf, networkFailure } from './hub-shelf.ts'
import type { Shelf, ShelfFile } from './shelf.ts'
import { partName, sizeOf, takeFile } from './take-file.ts'
import { shardsOf, wantedOf } from './wanted.ts'

/** How far it is. */
export interface FetchProgress {
  /** The file that is coming. */
  readonly path: string
  /** Bytes of all files that are here, and that there will be. */
  readonly bytes: number
  readonly of: number
}

/** Where from, where to, and which files. */
export interface FetchOptions {
  /** Where the files go; made where it is not there. */
  readonly folder: string
  /** The hub, or a mirror of it; default `https://huggingface.co`. */
  readonly endpoint?: string
  /** A folder in place of a hub: a model's own, one with `<org>/<name>` inside, or a cache of Hugging Face's. */
  readonly from?: string
  /** A branch, a tag or a commit; default `main`. */
  readonly revision?: string
  /** For what is private or gated. */
  readonly token?: string
  /** All files that are there; default: those that a model needs. */
  readonly all?: boolean
  readonly signal?: AbortSignal
  readonly onProgress?: (p: FetchProgress) => void
  /** Tries in a row without a byte before a cut connection is an error; default 5. */
  readonly tries?: number
  /** Milliseconds before the second of them, doubled for each further one; default 1000. */
  readonly pause?: number
  /** Milliseconds without a byte after which a connection counts as cut; default 60,000. */
  readonly stall?: number
}

/** What was fetched. */
export interface FetchedModel {
  readonly folder: string
  /** Where it is from. */
  readonly source: string
  /** The commit, where there is one. */
  readonly revision?: string
  /** Every file that was asked for; `taken` where it was not here yet. */
  readonly files: readonly (ShelfFile & { readonly taken: boolean })[]
}

const never = new AbortController().signal

const isInside = (path: string): boolean =>
  path !== '' && !/[\\:\0]/.test(path) && path.split('/').every((p) => p !== '' && p !== '.' && p !== '..')

const shelfOf = async (repo: string, o: FetchOptions, signal: AbortSignal): Promise<Shelf> => {
  const { all: recursive = false, revision = 'main', token } = o
  if (o.from !== undefined) return folderShelf(resolve(o.from), repo, revision, recursive)
  const endpoint = (o.endpoint ?? 'https://huggingface.co').replace(/\/+$/, '')
  const { tries = 5, pause = 1000 } = o
  for (let n = 1; ; n++)
    try {
      return await hubShelf({ repo, endpoint, revision, recursive, signal, token })
    } catch (e) {
      if (signal.aborted) throw new HubError('Interrupted', `${repo}: stopped`, e)
      const error = networkFailure(endpoint, repo, e)
      if (error.tag !== 'Cut' || n >= tries) throw error
      await wait(pause * 2 ** (n - 1), undefined, { signal }).catch((e: unknown) => {
        throw new HubError('Interrupted', `${repo}: stopped`, e)
      })
    }
}

/** Throws where the files that are still to come find no room. */
const roomFor = async (folder: string, files: readonly ShelfFile[]): Promise<void> => {
  const { bavail, bsize } = await statfs(folder)
  const need = files.reduce((n, f) => n + f.bytes, 0)
  const free = bavail * bsize
  if (need > free)
    throw new HubError(
      'DiskFull',
      `${folder}: ${(need / 1e9).toFixed(2)} GB are to come and ${(free / 1e9).toFixed(2)} GB are free: free some space, or choose another folder with --out`,
    )
}

const fetched = async (repo: string, o: FetchOptions): Promise<FetchedModel> => {
  if (!/^\w[\w.-]*\/\w[\w.-]*$/.test(repo))
    throw new HubError('BadName', `'${repo}' is no model's name: it is <org>/<name>, such as Qwen/Qwen3-0.6B`)
  if (o.token !== undefined && !o.token.startsWith('hf_'))
    throw new HubError('BadName', "the token in HF_TOKEN is none of the hub's: they begin with hf_")
  const { signal = never, onProgress = () => undefined, tries = 5, pause = 1000, stall = 60_000 } = o
  const folder = resolve(o.folder)
  const shelf = await shelfOf(repo, o, signal)
  const odd = shelf.files.find((f) => !isInside(f.path))
  if (odd !== undefined)
    throw new HubError('BadListing', `${shelf.name} lists '${odd.path}', which is no path inside a model`)
  const orThrow = <A>(e: E.Either<HubError, A>): A => {
    if (E.isLeft(e)) throw e.left
    return e.right
  }
  let wanted = o.all === true ? shelf.files : orThrow(wantedOf(shelf))
  await makeFolder(folder)
  const done = new Map<string, ShelfFile & { readonly taken: boolean }>()
  let bytes = 0
  const take = async (files: readonly ShelfFile[]): Promise<void> => {
    for (const file of files) {
      if (done.has(file.path)) continue
      const onBytes = (n: number): void => {
        bytes += n
        onProgress({ path: file.path, bytes, of: wanted.reduce((all, f) => all + f.bytes, 0) })
      }
      const taken = await takeFile(shelf, file, folder, { signal, onBytes, tries, pause, stall })
      done.set(file.path, { ...file, taken })
    }
  }
  const index = wanted.find((f) => f.path === indexName)
  if (index !== undefined && o.all !== true) {
    await take([index])
    const json = orThrow(
      E.mapLeft(
        (why: string) => new HubError('NoModel', `${shelf.name}: its ${indexName} is no JSON (${why})`),
      )(parseJson(await readFile(join(folder, indexName), 'utf8'))),
    )
    wanted = [...wanted, ...orThrow(shardsOf(shelf, json))]
  }
  const missing: ShelfFile[] = []
  for (const file of wanted) {
    if ((await sizeOf(join(folder, file.path))) === file.bytes) continue
    const part = (await sizeOf(join(folder, partName(file)))) ?? 0
    missing.push({ ...file, bytes: Math.max(0, file.bytes - part) })
  }
  await roomFor(folder, missing)
  await take(wanted)
  const files = wanted.map((f) => done.get(f.path)!)
  return { folder, source: shelf.name, files, revision: shelf.revision }
}

/**
 * Fetches a model of the Hugging Face hub: `config.json`, the tokenizer's and processor's files, and the weights as
 * safetensors. What is here already and whole is not fetched again; a file that was cut short goes on at the byte where it
 * ended, in this call and in the next one; each file is compared with the checksum that the hub tells (SHA-256 of large
 * files, git's SHA-1 of small ones) before it gets its name.
 *
 * Fails with {@link HubError}.
 *
 * @param repo `<org>/<name>`
 * @category fetching
 */
export const fetchModel = (repo: string, options: FetchOptions): TE.TaskEither<HubError, FetchedModel> => {
  onlySettings('fetchModel', options, [
    'folder',
    'endpoint',
    'from',
    'revision',
    'token',
    'all',
    'signal',
    'onProgress',
    'tries',
    'pause',
    'stall',
  ])
  return TE.tryCatch(() => fetched(repo, options), hubErrorOf(repo))
}
