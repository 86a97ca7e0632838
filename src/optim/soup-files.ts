/**
 * A soup of checkpoints on disk: folders or files of safetensors in, a folder out.
 *
 * @since 0.1.0
 */
import { copyFile, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import {
  type Checkpoint,
  makeFolder,
  openCheckpoint,
  singleName,
  streamSafetensors,
  temporaryOf,
} from '../formats/index.ts'
import { type Ingredient, sameTensors, soup } from './soup.ts'

/** Files beside weights that belong to a model: what it is, how it generates, its tokenizer and processor. */
const companion =
  /^((generation_|preprocessor_|processor_|image_processor_)?config|tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab|processor_config|chat_template)\.json$|^(merges\.txt|vocab\.txt|chat_template\.jinja|tokenizer\.model|configuration_\w+\.py|modeling_\w+\.py)$/

/**
 * Averages checkpoints into a new folder, laid out as the first is: the same files of weights, dtypes and index, with its
 * `config.json`, tokenizer and the like copied along. Tensors are averaged one by one. The folder appears by rename, whole
 * or not at all.
 *
 * Fails with SoupError (weights; keys, shapes or dtypes that differ, before anything is written), SafetensorsError, or what
 * the system says; with `Error` where `into` exists.
 *
 * @param from folders, safetensors files or indices, as `openCheckpoint` takes them
 * @param into the folder that is made
 * @param weights one for each, normalised to sum 1; default equal
 * @category soup
 */
export const soupFiles = (
  from: readonly string[],
  into: string,
  weights?: readonly number[],
): TE.TaskEither<Error, void> =>
  pipe(
    TE.traverseSeqArray(openCheckpoint)(from),
    TE.mapLeft((e): Error => e),
    TE.chain((checkpoints) =>
      pipe(
        TE.fromEither<Error, Ingredient>(soup(checkpoints, weights)),
        TE.chainFirstEitherK(() => sameInfo(checkpoints)),
        TE.chain((mixed) => write(checkpoints[0]!, mixed, into)),
      ),
    ),
  )

/** Shapes and dtypes by the headers alone. */
const sameInfo = (all: readonly Checkpoint[]): E.Either<Error, void> => {
  const of = (c: Checkpoint, key: string) => ({ shape: c.shape(key)!, dtype: c.dtype(key)! })
  for (const key of all[0]!.keys)
    for (const [i, c] of all.entries()) {
      const same = sameTensors(key, i, of(all[0]!, key), of(c, key))
      if (E.isLeft(same)) return same
    }
  return E.right(undefined)
}

const orThrow = <A>(result: E.Either<Error, A>): A => {
  if (E.isLeft(result)) throw result.left
  return result.right
}

/** The keys of each file of a checkpoint. */
const filesOf = async (c: Checkpoint): Promise<ReadonlyMap<string, readonly string[]>> => {
  if (!c.path.endsWith('.index.json')) return new Map([[singleName, c.keys]])
  const { weight_map: map } = JSON.parse(await readFile(c.path, 'utf8')) as {
    weight_map: Readonly<Record<string, string>>
  }
  const files = new Map<string, string[]>()
  for (const key of c.keys) files.set(map[key]!, [...(files.get(map[key]!) ?? []), key])
  return files
}

const write = (first: Checkpoint, mixed: Ingredient, into: string): TE.TaskEither<Error, void> =>
  TE.tryCatch(
    async () => {
      if (await exists(into)) throw new Error(`${into} is already there; name a folder that is not`)
      await makeFolder(dirname(into))
      const folder = temporaryOf(into)
      try {
        for (const [name, keys] of await filesOf(first))
          orThrow(await writeFile(join(folder, name), first, mixed, keys)())
        const beside = dirname(first.path)
        if (first.path.endsWith('.index.json')) await copyFile(first.path, join(folder, basename(first.path)))
        for (const name of await readdir(beside))
          if (companion.test(name)) await copyFile(join(beside, name), join(folder, name))
        await rename(folder, into)
      } catch (e) {
        await rm(folder, { recursive: true, force: true })
        throw e
      }
    },
    (e) => (e instanceof Error ? e : new Error(String(e))),
  )

const exists = async (path: string): Promise<boolean> => {
  try {
    await stat(path)
    return true
  } catch (e) {
    if ((e as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw e
  }
}

/** One file of weights, one tensor after the other. */
const writeFile = (
  path: string,
  first: Checkpoint,
  mixed: Ingredient,
  keys: readonly string[],
): TE.TaskEither<Error, void> => {
  const infos = new Map(keys.map((k) => [k, { dtype: first.dtype(k)!, shape: first.shape(k)! }] as const))
  const metadata = first.path.endsWith('.index.json') ? { format: 'pt' } : first.metadata
  const read = (key: string) =>
    pipe(
      mixed.read(key),
      TE.map(({ data }) => ({
        ...infos.get(key)!,
        values: data instanceof Uint8Array ? Int32Array.from(data) : data,
      })),
    )
  return streamSafetensors(path, infos, read, metadata)
}
