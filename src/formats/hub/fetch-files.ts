/**
 * What a hub keeps brought into a folder: which files is up to who asks, each is checked.
 *
 * @since 0.1.0
 */
import { readFile, rmdir, statfs } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { onlySettings } from '../../settings/index.ts'
import { byteSize } from '../../terminal/index.ts'
import { makeFolder } from '../folder.ts'
import { folderShelf } from './folder-shelf.ts'
import { HubError, hubErrorOf } from './hub-error.ts'
import { hubShelf, networkFailure } from './hub-shelf.ts'
import { type HubRepo, pathOf, type Shelf, type ShelfFile, wordOf } from './shelf.ts'
import { partName, sizeOf, takeFile } from './take-file.ts'

/** How far it is. */
export interface FetchProgress {
  /** The file that is coming. */
  readonly path: string
  /** Bytes of all files that are here, and that there will be. */
  readonly bytes: number
  readonly of: number
}

/** Where from and where to. */
export interface FetchOptions {
  /** Where the files go; made where it is not there. */
  readonly folder: string
  /** The hub, or a mirror of it; default `https://huggingface.co`. */
  readonly endpoint?: string
  /** A folder in place of a hub: the files' own, one with `<org>/<name>` inside, or a cache of Hugging Face's. */
  readonly from?: string
  /** A branch, a tag or a commit; default `main`. */
  readonly revision?: string
  /** For what is private or gated. */
  readonly token?: string
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
export interface Fetched {
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

const shelfOf = async (
  repo: HubRepo,
  recursive: boolean,
  o: FetchOptions,
  signal: AbortSignal,
): Promise<Shelf> => {
  const { revision = 'main', token } = o
  if (o.from !== undefined) return folderShelf(resolve(o.from), repo, revision, recursive)
  const endpoint = (o.endpoint ?? 'https://huggingface.co').replace(/\/+$/, '')
  const { tries = 5, pause = 1000 } = o
  for (let n = 1; ; n++)
    try {
      return await hubShelf({ repo, endpoint, revision, recursive, signal, token })
    } catch (e) {
      if (signal.aborted) throw new HubError('Interrupted', `${repo.name}: stopped`, e)
      const error = networkFailure(endpoint, pathOf(repo), e)
      if (error.tag !== 'Cut' || n >= tries) throw error
      await wait(pause * 2 ** (n - 1), undefined, { signal }).catch((e: unknown) => {
        throw new HubError('Interrupted', `${repo.name}: stopped`, e)
      })
    }
}

/** Makes the folder that files go into; gives the first one that it made on the way there. */
const placeAt = async (folder: string): Promise<string | undefined> => {
  try {
    return await makeFolder(folder)
  } catch (e) {
    throw new HubError(
      'Io',
      `${folder} can be no folder (${(e as Error).message}): choose another with --out`,
      e,
    )
  }
}

/** Takes away the folders that were made, up to the first, and that stayed empty. */
const unmade = async (folder: string, first: string): Promise<void> => {
  try {
    for (let at = folder; at.length >= first.length; at = dirname(at)) await rmdir(at)
  } catch {
    // something is in it
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
      `${folder}: ${byteSize(need)} are to come and ${byteSize(free)} are free: free some space, or choose another folder with --out`,
    )
}

/** Which files of a repository are asked for. */
export interface Choice {
  /** Whether files of folders are looked at too. */
  readonly recursive: boolean
  /**
   * The files, in the order in which they come.
   *
   * @param read the text of a file, which comes first then
   */
  readonly files: (shelf: Shelf, read: (file: ShelfFile) => Promise<string>) => Promise<readonly ShelfFile[]>
}

/** The files, in a folder that is there. */
const broughtInto = async (
  folder: string,
  repo: HubRepo,
  o: FetchOptions,
  choice: Choice,
): Promise<Fetched> => {
  const { signal = never, onProgress = () => undefined, tries = 5, pause = 1000, stall = 60_000 } = o
  const shelf = await shelfOf(repo, choice.recursive, o, signal)
  const odd = shelf.files.find((f) => !isInside(f.path))
  if (odd !== undefined)
    throw new HubError(
      'BadListing',
      `${shelf.name} lists '${odd.path}', which is no path inside a ${wordOf[repo.kind]}`,
    )
  const done = new Map<string, ShelfFile & { readonly taken: boolean }>()
  let wanted: readonly ShelfFile[] = []
  let bytes = 0
  const take = async (files: readonly ShelfFile[]): Promise<void> => {
    for (const file of files) {
      if (done.has(file.path)) continue
      const onBytes = (n: number): void => {
        bytes += n
        const of = (wanted.length === 0 ? files : wanted).reduce((all, f) => all + f.bytes, 0)
        onProgress({ path: file.path, bytes, of })
      }
      const taken = await takeFile(shelf, file, folder, { signal, onBytes, tries, pause, stall })
      done.set(file.path, { ...file, taken })
    }
  }
  wanted = await choice.files(shelf, async (file) => {
    await take([file])
    return await readFile(join(folder, file.path), 'utf8')
  })
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

const fetched = async (repo: HubRepo, o: FetchOptions, choice: Choice): Promise<Fetched> => {
  const word = wordOf[repo.kind]
  if (!/^\w[\w.-]*\/\w[\w.-]*$/.test(repo.name))
    throw new HubError(
      'BadName',
      `'${repo.name}' is no ${word}'s name: it is <org>/<name>, such as ${repo.kind === 'model' ? 'Qwen/Qwen3-0.6B' : 'trl-lib/Capybara'}`,
    )
  if (o.token !== undefined && !o.token.startsWith('hf_'))
    throw new HubError('BadName', "the token in HF_TOKEN is none of the hub's: they begin with hf_")
  const folder = resolve(o.folder)
  const first = await placeAt(folder)
  try {
    return await broughtInto(folder, repo, o, choice)
  } catch (e) {
    if (first !== undefined) await unmade(folder, first)
    throw e
  }
}

const options = [
  ...['folder', 'endpoint', 'from', 'revision', 'token', 'signal', 'onProgress', 'tries', 'pause', 'stall'],
] as const

/**
 * Brings the chosen files into a folder. What is here already and whole is not fetched again; a file that was cut short goes
 * on at the byte where it ended, in this call and in the next one; each file is compared with the checksum that the hub tells
 * before it gets its name. Fails with {@link HubError}.
 *
 * @param where the function that was called, and the options of its own
 */
export const fetchFiles = (
  repo: HubRepo,
  o: FetchOptions,
  where: { readonly name: string; readonly options: readonly string[] },
  choice: Choice,
): TE.TaskEither<HubError, Fetched> => {
  onlySettings(where.name, o, [...options, ...where.options])
  return TE.tryCatch(() => fetched(repo, o, choice), hubErrorOf(repo.name))
}
