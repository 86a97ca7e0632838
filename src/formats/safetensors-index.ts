/**
 * Checkpoints of one file or of many shards with an index, as published: `model.safetensors`, or
 * `model.safetensors.index.json` beside `model-00001-of-00003.safetensors` and so on.
 *
 * @since 0.1.0
 */
import { readdir, readFile, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import * as t from 'io-ts'
import { onlySettings } from '../settings/index.ts'
import { isFloatDtype, patternsOf, type StorageDtype } from './dtype.ts'
import { parseJson } from './json.ts'
import { replaceFile } from './replace-file.ts'
import {
  type Entries,
  type Entry,
  readSafetensors,
  type Safetensors,
  SafetensorsError,
  writeSafetensors,
} from './safetensors.ts'
import { quote, systemError } from './safetensors-error.ts'
import { tensorBytes } from './safetensors-header.ts'

/** The name of a checkpoint of one file. */
export const singleName = 'model.safetensors'

/** The name of the index of a sharded checkpoint. */
export const indexName = 'model.safetensors.index.json'

/** A tensor of a checkpoint as numbers, row-major: of a float dtype as float32, exactly; of an integer dtype as int32. */
export type CheckpointTensor =
  | { readonly shape: readonly number[]; readonly dtype: 'float32'; readonly data: Float32Array }
  | { readonly shape: readonly number[]; readonly dtype: 'int32'; readonly data: Int32Array }

/**
 * A checkpoint whose headers were read, be it one file or many. Tensors are read one by one: it is a source of weights for
 * an engine's `load`, for a recipe's start and for a soup.
 *
 * @category model
 */
export interface Checkpoint {
  /** The file or the index that was opened. */
  readonly path: string
  /** The tensors' keys, sorted. */
  readonly keys: readonly string[]
  /** The notes of the single file, or of the index, whose numbers are given as texts. */
  readonly metadata: Readonly<Record<string, string>>
  /** A tensor's shape, outermost axis first; undefined where there is none of that key. */
  readonly shape: (key: string) => readonly number[] | undefined
  /** A tensor's dtype; undefined where there is none of that key. */
  readonly dtype: (key: string) => StorageDtype | undefined
  /** The values of an F32, F16 or BF16 tensor as float32, exactly; in `room` where that is as long. */
  readonly floats: (key: string, room?: Float32Array) => TE.TaskEither<SafetensorsError, Float32Array>
  /** The values of an I64, I32, U8 or BOOL tensor as int32. */
  readonly ints: (key: string) => TE.TaskEither<SafetensorsError, Int32Array>
  /** The patterns of a BF16 tensor, in an array of their own; undefined where it is none. */
  readonly bfloat16: (key: string) => TE.TaskEither<SafetensorsError, Uint16Array> | undefined
  /** A tensor as `floats` or `ints` gives it, by its dtype, with its shape. */
  readonly read: (key: string, room?: Float32Array) => TE.TaskEither<SafetensorsError, CheckpointTensor>
}

const Index = t.intersection([
  t.type({ weight_map: t.record(t.string, t.string) }),
  t.partial({ metadata: t.UnknownRecord }),
])

const download = 'download the checkpoint again, all of its files'

// --- reading ----------------------------------------------------------------------------------------------

/**
 * Opens a checkpoint and reads its headers.
 *
 * @param path a folder, which holds `model.safetensors` or else `model.safetensors.index.json`; or a safetensors
 *   file; or an index, whose name ends in `.index.json`
 * @category reading
 */
export const openCheckpoint = (path: string): TE.TaskEither<SafetensorsError, Checkpoint> =>
  pipe(
    TE.tryCatch(() => resolve(path), systemError(path)),
    TE.chain((file) =>
      file.endsWith('.index.json') ? openSharded(file) : pipe(readSafetensors(file), TE.map(single)),
    ),
  )

const isFile = async (path: string): Promise<boolean> => {
  try {
    return (await stat(path)).isFile()
  } catch (e) {
    if ((e as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw e
  }
}

const resolve = async (path: string): Promise<string> => {
  if (!(await stat(path)).isDirectory()) return path
  for (const name of [singleName, indexName]) if (await isFile(join(path, name))) return join(path, name)
  const others = (await readdir(path)).filter((f) => /\.safetensors(\.index\.json)?$/.test(f)).sort()
  throw new SafetensorsError(
    'NotFound',
    { file: path },
    `the folder has neither ${singleName} nor ${indexName}`,
    others.length > 0 ? `name one of its files: ${others.slice(0, 5).join(', ')}` : 'check the path',
  )
}

const single = (file: Safetensors): Checkpoint =>
  checkpoint(file.path, file.metadata, new Map(file.keys.map((k) => [k, file])))

const checkpoint = (
  path: string,
  metadata: Readonly<Record<string, string>>,
  fileOf: ReadonlyMap<string, Safetensors>,
): Checkpoint => {
  const read =
    <A>(how: (file: Safetensors, key: string, room?: Float32Array) => TE.TaskEither<SafetensorsError, A>) =>
    (key: string, room?: Float32Array): TE.TaskEither<SafetensorsError, A> => {
      const file = fileOf.get(key)
      return file === undefined
        ? TE.left(
            new SafetensorsError(
              'UnknownKey',
              { file: path, key },
              'the checkpoint has no such tensor',
              `it has ${fileOf.size} tensors: list them with keys`,
            ),
          )
        : how(file, key, room)
    }
  const tensor = (
    file: Safetensors,
    key: string,
    room?: Float32Array,
  ): TE.TaskEither<SafetensorsError, CheckpointTensor> => {
    const { shape, dtype } = file.info(key)!
    return isFloatDtype(dtype)
      ? pipe(
          file.floats(key, room),
          TE.map((data) => ({ shape, dtype: 'float32', data })),
        )
      : pipe(
          file.ints(key),
          TE.map((data) => ({ shape, dtype: 'int32', data })),
        )
  }
  return {
    path,
    keys: [...fileOf.keys()].sort(),
    metadata,
    shape: (key) => fileOf.get(key)?.info(key)?.shape,
    dtype: (key) => fileOf.get(key)?.info(key)?.dtype,
    floats: read((file, key, room) => file.floats(key, room)),
    ints: read((file, key) => file.ints(key)),
    bfloat16: (key) => {
      const file = fileOf.get(key)
      return file?.info(key)?.dtype !== 'BF16'
        ? undefined
        : pipe(
            file.tensor(key),
            TE.map(({ bytes }) => patternsOf(bytes)),
          )
    },
    read: read(tensor),
  }
}

interface ShardIndex {
  /** The shard's file name by the tensor's key. */
  readonly shardOf: ReadonlyMap<string, string>
  readonly metadata: Readonly<Record<string, string>>
}

/** A name that stays in the index's own folder. */
const isPlainName = (name: string): boolean =>
  name !== '' && name !== '..' && name !== '.' && !/[/\\\0]/.test(name)

const decodeIndex = (text: string, file: string): E.Either<SafetensorsError, ShardIndex> => {
  const fail = (what: string, key?: string) =>
    E.left(new SafetensorsError('BadIndex', { file, key }, what, download))
  const parsed = parseJson(text)
  if (E.isLeft(parsed)) return fail(`the index is not JSON (${parsed.left})`)
  const json = parsed.right
  if (!Index.is(json)) {
    const map = (json as { weight_map?: unknown } | null)?.weight_map
    return fail(`weight_map must map keys to file names, not ${quote(map)}`)
  }
  const shardOf = new Map(Object.entries(json.weight_map))
  for (const [key, shard] of shardOf)
    if (!isPlainName(shard))
      return fail(`its shard ${quote(shard)} is not the name of a file beside the index`, key)
  if (shardOf.size === 0) return fail('weight_map names no tensor')
  const metadata = Object.entries(json.metadata ?? {}).map(([k, v]): [string, string] => [
    k,
    typeof v === 'string' ? v : JSON.stringify(v),
  ])
  return E.right({ shardOf, metadata: Object.fromEntries(metadata) })
}

const openSharded = (path: string): TE.TaskEither<SafetensorsError, Checkpoint> =>
  pipe(
    TE.tryCatch(() => readFile(path, 'utf8'), systemError(path)),
    TE.chainEitherK((text) => decodeIndex(text, path)),
    TE.chain(({ shardOf, metadata }) => {
      const names = [...new Set(shardOf.values())].sort()
      return pipe(
        missingShards(path, names),
        TE.chain(() =>
          TE.traverseSeqArray((name: string) => readSafetensors(join(dirname(path), name)))(names),
        ),
        TE.chainEitherK((files) => {
          const byName = new Map(files.map((file, i) => [names[i]!, file]))
          const fileOf = new Map([...shardOf].map(([key, name]) => [key, byName.get(name)!]))
          const absent = [...fileOf].filter(([key, file]) => file.info(key) === undefined)
          const [first] = absent
          return first === undefined
            ? E.right(checkpoint(path, metadata, fileOf))
            : E.left(
                new SafetensorsError(
                  'BadIndex',
                  { file: path, key: first[0] },
                  `the index says that ${basename(first[1].path)} holds it, but that file does not (${absent.length} such tensors)`,
                  download,
                ),
              )
        }),
      )
    }),
  )

const missingShards = (path: string, names: readonly string[]): TE.TaskEither<SafetensorsError, void> =>
  TE.tryCatch(async () => {
    const missing: string[] = []
    for (const name of names) if (!(await isFile(join(dirname(path), name)))) missing.push(name)
    if (missing.length > 0)
      throw new SafetensorsError(
        'MissingShard',
        { file: path },
        `${missing.length} of ${names.length} shards are missing: ${missing.slice(0, 5).join(', ')}`,
        download,
      )
  }, systemError(path))

// --- writing ----------------------------------------------------------------------------------------------

/** How {@link writeCheckpoint} writes. */
export interface CheckpointOptions {
  /** The most data bytes in one file; a larger tensor has a file of its own. Default 5·10⁹. */
  readonly maxShardBytes?: number
  /** Notes for the header of every file. Default `format: pt`, which other libraries ask for. */
  readonly metadata?: Readonly<Record<string, string>>
}

/**
 * Divides keys among shards, in their sorted order, each shard filled as far as it goes.
 *
 * @param bytes data bytes by key
 * @category writing
 */
export const planShards = (
  bytes: ReadonlyMap<string, number>,
  maxShardBytes: number,
): readonly (readonly string[])[] => {
  const shards: string[][] = []
  let room = 0
  for (const key of [...bytes.keys()].sort()) {
    const size = bytes.get(key)!
    const last = shards[shards.length - 1]
    if (last !== undefined && size <= room) last.push(key)
    else {
      shards.push([key])
      room = maxShardBytes
    }
    room -= size
  }
  return shards
}

/**
 * Writes a checkpoint into a folder: `model.safetensors` where it fits into one file, else shards and then their
 * index. Each file appears by rename. A checkpoint that was there in the other form is taken away after the new
 * one is whole; shards that overwrite shards of the same number are not, so replace such a folder as a whole.
 *
 * @returns the path of the file or of the index
 * @category writing
 */
export const writeCheckpoint = (
  folder: string,
  entries: Entries,
  options: CheckpointOptions = {},
): TE.TaskEither<SafetensorsError, string> => {
  onlySettings('writeCheckpoint', options, ['maxShardBytes', 'metadata'])
  const { maxShardBytes = 5e9, metadata = { format: 'pt' } } = options
  const file = join(folder, singleName)
  const index = join(folder, indexName)
  if (!(maxShardBytes > 0))
    return TE.left(
      new SafetensorsError(
        'BadEntry',
        { file: folder },
        `maxShardBytes is ${maxShardBytes}`,
        'give a positive number',
      ),
    )
  const bytes = new Map<string, number>()
  for (const [key, { dtype, shape }] of entries) bytes.set(key, tensorBytes(dtype, shape) ?? 0)
  const shards = planShards(bytes, maxShardBytes)
  if (shards.length <= 1)
    return pipe(
      writeSafetensors(file, entries, metadata),
      TE.chain(() => remove(index)),
      TE.map(() => file),
    )
  const pad = (n: number) => String(n).padStart(5, '0')
  const name = (i: number) => `model-${pad(i + 1)}-of-${pad(shards.length)}.safetensors`
  const weightMap = Object.fromEntries(
    shards.flatMap((keys, i) => keys.map((key): [string, string] => [key, name(i)])),
  )
  const totalSize = [...bytes.values()].reduce((a, b) => a + b, 0)
  const text = `${JSON.stringify({ metadata: { total_size: totalSize }, weight_map: weightMap }, null, 2)}\n`
  return pipe(
    shards.map((keys, i): [string, Entries] => [name(i), pick(entries, keys)]),
    TE.traverseSeqArray(([shard, part]) => writeSafetensors(join(folder, shard), part, metadata)),
    TE.chain(() => replaceFile(index, async (handle) => void (await handle.writeFile(text)))),
    TE.chain(() => remove(file)),
    TE.map(() => index),
  )
}

const pick = (entries: Entries, keys: readonly string[]): Entries =>
  new Map(keys.map((key): [string, Entry] => [key, entries.get(key)!]))

const remove = (path: string): TE.TaskEither<SafetensorsError, void> =>
  TE.tryCatch(() => rm(path, { force: true }), systemError(path))
