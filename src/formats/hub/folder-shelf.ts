/**
 * A folder as a {@link Shelf}: a repository's own, one with `<org>/<name>` in it, or a cache of Hugging Face's.
 *
 * @since 0.1.0
 */
import { createReadStream } from 'node:fs'
import { open, readdir, readFile, realpath, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { HubError, hubErrorOf } from './hub-error.ts'
import { type Checksum, type HubKind, type HubRepo, type Shelf, type ShelfFile, wordOf } from './shelf.ts'

/** Whether a folder is of a kind: a model's has a `config.json`, a data set's any file or folder that is not hidden. */
const isOf = async (kind: HubKind, folder: string): Promise<boolean> =>
  kind === 'model'
    ? (await stat(join(folder, 'config.json')).catch(() => undefined))?.isFile() === true
    : (await readdir(folder).catch(() => [])).some((name) => !name.startsWith('.'))

/** The snapshot that a cache has of a revision. */
const cached = async (from: string, { kind, name }: HubRepo, revision: string): Promise<string> => {
  const folder = join(from, `${kind}s--${name.replace('/', '--')}`)
  const ref = await readFile(join(folder, 'refs', revision), 'utf8').catch(() => revision)
  return join(folder, 'snapshots', ref.trim())
}

/** What git leaves in place of a large file that was not fetched. */
const isPointer = async (path: string, bytes: number): Promise<boolean> => {
  if (bytes > 1024) return false
  const text = await readFile(path, 'latin1')
  return text.startsWith('version https://git-lfs')
}

/** In a cache of Hugging Face's, files are links to others that are called by their checksum. */
const sumOf = async (path: string): Promise<Checksum | undefined> => {
  const hex = basename(await realpath(path))
  if (/^[0-9a-f]{64}$/.test(hex)) return { kind: 'sha256', hex }
  return /^[0-9a-f]{40}$/.test(hex) ? { kind: 'git', hex } : undefined
}

/** Opens a folder. Throws `HubError`: `NotFound` where it holds no such model or data set. */
export const folderShelf = async (
  from: string,
  repo: HubRepo,
  revision: string,
  recursive: boolean,
): Promise<Shelf> => {
  const { kind, name } = repo
  const places = [
    ...[join(from, name), await cached(from, repo, revision)],
    ...[join(from, name.split('/').at(-1)!), from],
  ]
  let folder: string | undefined
  for (const place of places) if (folder === undefined && (await isOf(kind, place))) folder = place
  if (folder === undefined)
    throw new HubError(
      'NotFound',
      `${from} holds no ${wordOf[kind]} ${name}: there is ${kind === 'model' ? 'no config.json' : 'no file'} in it, in ${name} inside it, or in a cache of Hugging Face's`,
    )
  const at = folder
  const files: ShelfFile[] = []
  const walk = async (inside: string): Promise<void> => {
    for (const name of (await readdir(join(at, inside))).sort()) {
      const path = inside === '' ? name : `${inside}/${name}`
      const about = await stat(join(at, path))
      if (about.isDirectory() && recursive) await walk(path)
      if (!about.isFile()) continue
      files.push({ path, bytes: about.size, sum: await sumOf(join(at, path)) })
    }
  }
  try {
    await walk('')
  } catch (e) {
    throw hubErrorOf(at)(e)
  }
  return {
    name: at,
    files,
    read: async function* (file, start, signal) {
      const path = join(at, file.path)
      if (await isPointer(path, file.bytes))
        throw new HubError(
          'NoModel',
          `${path} is what git leaves in place of a large file: get the file with 'git lfs pull' there, or leave --from out`,
        )
      // a file that cannot be read is an error of its own, before the first byte
      await (await open(path, 'r')).close()
      for await (const chunk of createReadStream(path, { start, signal, highWaterMark: 2 ** 20 }))
        yield chunk as Uint8Array
    },
  }
}
