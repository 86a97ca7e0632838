/**
 * Safetensors files: tensors read one by one without loading the file, and written by rename.
 *
 * @example
 * const norm = pipe(
 *   readSafetensors('model.safetensors'),
 *   TE.chain((file) => file.floats('model.norm.weight')),
 * ) // TE.TaskEither<SafetensorsError, Float32Array>
 *
 * @since 0.1.0
 */
import { type FileHandle, open } from 'node:fs/promises'
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { atMost } from '../async/index.ts'
import { onlySettings } from '../settings/index.ts'
import {
  bytesIntoFloats,
  bytesPerElement,
  type FloatDtype,
  hostIsLittleEndian,
  isFloatDtype,
} from './dtype.ts'
import { replaceFile } from './replace-file.ts'
import {
  type Entries,
  type Entry,
  encodeHeader,
  entryBytes,
  type StoredTensor,
  storedFloats,
  storedInts,
} from './safetensors-bytes.ts'
import { SafetensorsError, systemError } from './safetensors-error.ts'
import {
  decodeHeader,
  type Header,
  headerLength,
  prefixBytes,
  type TensorInfo,
} from './safetensors-header.ts'

export {
  decode,
  type Entries,
  type Entry,
  encode,
  encodeHeader,
  type StoredTensor,
  storedFloats,
  storedInts,
} from './safetensors-bytes.ts'

export { SafetensorsError, type SafetensorsErrorTag } from './safetensors-error.ts'
export { decodeHeader, type Header, type TensorInfo } from './safetensors-header.ts'

/**
 * A safetensors file whose header was read. No handle stays open: each read opens the file, checks that it is
 * still the same one, and reads only that tensor's bytes.
 *
 * @category model
 */
export interface Safetensors {
  readonly path: string
  /** The tensors' keys in the order of their data. */
  readonly keys: readonly string[]
  readonly metadata: Readonly<Record<string, string>>
  /** What the header says of a tensor; undefined where the file has none of that key. */
  readonly info: (key: string) => TensorInfo | undefined
  /** The tensor as stored. */
  readonly tensor: (key: string) => TE.TaskEither<SafetensorsError, StoredTensor>
  /**
   * The values of an F32, F16 or BF16 tensor as float32, exactly. They are read into `room` where it is as long as the tensor
   * has elements, else into an array of their own.
   */
  readonly floats: (key: string, room?: Float32Array) => TE.TaskEither<SafetensorsError, Float32Array>
  /** The values of an I64, I32, U8 or BOOL tensor as int32; an I64 that does not fit is an error. */
  readonly ints: (key: string) => TE.TaskEither<SafetensorsError, Int32Array>
}

// --- files ------------------------------------------------------------------------------------------------

/** How files are read and written. */
export interface FileOptions {
  /** One read or write of the system takes at most this many bytes; default 2³⁰. */
  readonly pieceBytes?: number
}

const piecesOf = (file: string, { pieceBytes = 2 ** 30 }: FileOptions): number => {
  if (Number.isSafeInteger(pieceBytes) && pieceBytes > 0) return pieceBytes
  throw new SafetensorsError('Io', { file }, `pieceBytes is ${pieceBytes}`, 'give a whole number from 1 up')
}

/** Files that are open for reading at a time: a process may have few, and a checkpoint has thousands of tensors. */
const inTurn = atMost(16)

/** Fills an array with the bytes of a file from a place on. */
const readInto = async (
  handle: FileHandle,
  file: string,
  from: number,
  bytes: Uint8Array,
  pieceBytes: number,
): Promise<void> => {
  const length = bytes.length
  for (let at = 0; at < length; ) {
    const { bytesRead } = await handle.read(bytes, at, Math.min(pieceBytes, length - at), from + at)
    if (bytesRead === 0)
      throw new SafetensorsError(
        'Truncated',
        { file },
        `it ended at byte ${from + at} while ${from + length} were expected`,
        'another program is changing it: read it again when that is done',
      )
    at += bytesRead
  }
}

const readExactly = async (
  handle: FileHandle,
  file: string,
  from: number,
  length: number,
  pieceBytes: number,
): Promise<Uint8Array> => {
  const bytes = new Uint8Array(length)
  await readInto(handle, file, from, bytes, pieceBytes)
  return bytes
}

/** Bytes of a piece of a tensor as it is stored, of which two are in memory beside its numbers. */
const atOnce = 2 ** 20

/** Numbers read piece by piece: what is stored is never in memory as a whole beside them. */
const readFloats = async (
  handle: FileHandle,
  file: string,
  from: number,
  length: number,
  dtype: FloatDtype,
  pieceBytes: number,
  room: Float32Array | undefined,
): Promise<Float32Array> => {
  const size = bytesPerElement(dtype)
  const out = room?.length === length / size ? room : new Float32Array(length / size)
  if (dtype === 'F32' && hostIsLittleEndian) {
    // as they are stored
    await readInto(handle, file, from, new Uint8Array(out.buffer, out.byteOffset, length), pieceBytes)
    return out
  }
  const [one, other] = [new Uint8Array(Math.min(length, atOnce)), new Uint8Array(Math.min(length, atOnce))]
  /** Begins to read the piece at `at`. */
  const begin = async (at: number): Promise<Uint8Array> => {
    const bytes = ((at / atOnce) % 2 === 0 ? one : other).subarray(0, Math.min(atOnce, length - at))
    await readInto(handle, file, from + at, bytes, pieceBytes)
    return bytes
  }
  let next = length === 0 ? undefined : begin(0)
  for (let at = 0; next !== undefined; at += atOnce) {
    const bytes = await next
    // the next piece comes while this one is converted
    next = at + atOnce < length ? begin(at + atOnce) : undefined
    bytesIntoFloats(dtype, bytes, out.subarray(at / size, (at + bytes.length) / size))
  }
  return out
}

/** Runs with the file open for reading, and closes it whatever happens. */
const withFile = <A>(
  file: string,
  key: string | undefined,
  body: (handle: FileHandle) => Promise<A>,
): TE.TaskEither<SafetensorsError, A> =>
  TE.tryCatch(
    () =>
      inTurn(async () => {
        const handle = await open(file, 'r')
        try {
          return await body(handle)
        } finally {
          await handle.close()
        }
      }),
    systemError(file, key),
  )

const orThrow = <A>(result: E.Either<SafetensorsError, A>): A => {
  if (E.isLeft(result)) throw result.left
  return result.right
}

/**
 * Opens a safetensors file: reads and checks its header and nothing else.
 *
 * @category reading
 */
export const readSafetensors = (
  path: string,
  options: FileOptions = {},
): TE.TaskEither<SafetensorsError, Safetensors> => {
  onlySettings('readSafetensors', options, ['pieceBytes'])
  return withFile(path, undefined, async (handle) => {
    const pieceBytes = piecesOf(path, options)
    const was = await handle.stat()
    const size = was.size
    const prefix = await readExactly(handle, path, 0, Math.min(prefixBytes, size), pieceBytes)
    const length = orThrow(headerLength(prefix, size, path))
    const head = await readExactly(handle, path, 0, prefixBytes + length, pieceBytes)
    const header: Header = orThrow(decodeHeader(head, size, path))

    /** Finds a tensor's bytes, in the file as it was. */
    const at = <A>(
      key: string,
      read: (h: FileHandle, info: TensorInfo, from: number, length: number) => Promise<A>,
    ): TE.TaskEither<SafetensorsError, A> => {
      const info = header.tensors.get(key)
      if (info === undefined)
        return TE.left(
          new SafetensorsError(
            'UnknownKey',
            { file: path, key },
            'the file has no such tensor',
            nearest(key, header),
          ),
        )
      return withFile(path, key, async (h) => {
        const now = await h.stat()
        if (now.size !== size || now.mtimeMs !== was.mtimeMs || now.ino !== was.ino)
          throw new SafetensorsError(
            'Changed',
            { file: path, key },
            'the file was changed after its header was read',
            'open it again',
          )
        return read(h, info, header.dataStart + info.begin, info.end - info.begin)
      })
    }
    const tensor = (key: string): TE.TaskEither<SafetensorsError, StoredTensor> =>
      at(key, async (h, { dtype, shape }, from, length) => ({
        ...{ dtype, shape, bytes: await readExactly(h, path, from, length, pieceBytes) },
      }))
    return {
      path,
      keys: [...header.tensors.keys()],
      metadata: header.metadata,
      info: (key: string) => header.tensors.get(key),
      tensor,
      floats: (key: string, room?: Float32Array) =>
        at(key, async (h, { dtype, shape }, from, length) =>
          isFloatDtype(dtype)
            ? readFloats(h, path, from, length, dtype, pieceBytes, room)
            : orThrow(storedFloats({ dtype, shape, bytes: new Uint8Array() }, key, path)),
        ),
      ints: (key: string) =>
        pipe(
          tensor(key),
          TE.chainEitherK((x) => storedInts(x, key, path)),
        ),
    }
  })
}
/** A hint at keys that end like the one asked for. */
const nearest = (key: string, { tensors }: Header): string => {
  const last = key.slice(key.lastIndexOf('.', key.lastIndexOf('.') - 1) + 1)
  const like = [...tensors.keys()].filter((k) => k.endsWith(last)).slice(0, 3)
  return like.length > 0 ? `it has ${like.join(', ')}` : `it has ${tensors.size} tensors: list them with keys`
}

/**
 * Writes a safetensors file so that nobody ever sees half of it: into a file beside it, flushed to the disk and
 * then renamed. Missing folders are made. Values are converted one tensor at a time.
 *
 * @category writing
 */
export const writeSafetensors = (
  path: string,
  entries: Entries,
  metadata: Readonly<Record<string, string>> = {},
  options: FileOptions = {},
): TE.TaskEither<SafetensorsError, void> =>
  streamSafetensors(path, entries, (key) => TE.right(entries.get(key)!), metadata, options)

/** A tensor's dtype and shape, which its file's header says before any data. */
export type TensorHead = Pick<StoredTensor, 'dtype' | 'shape'>

/**
 * {@link writeSafetensors} of tensors that are read one after the other while the file is written: never more than one of
 * them is in memory. Where one cannot be read, no file appears, and the error is the reader's.
 *
 * @param heads what each tensor will be
 * @param read the tensor of a key
 * @category writing
 */
export const streamSafetensors = <Err extends Error>(
  path: string,
  heads: ReadonlyMap<string, TensorHead>,
  read: (key: string) => TE.TaskEither<Err, Entry>,
  metadata: Readonly<Record<string, string>> = {},
  options: FileOptions = {},
): TE.TaskEither<SafetensorsError | Err, void> => {
  onlySettings('streamSafetensors', options, ['pieceBytes'])
  let unread: Err | undefined
  return pipe(
    TE.fromEither(encodeHeader(heads, metadata, path)),
    TE.chain(({ header, order }) =>
      replaceFile(path, async (handle) => {
        const pieceBytes = piecesOf(path, options)
        await writeAll(handle, header, pieceBytes)
        for (const key of order) {
          const entry = await read(key)()
          if (E.isLeft(entry)) {
            unread = entry.left
            throw unread
          }
          const [said, is] = [headOf(heads.get(key)!), headOf(entry.right)]
          if (said !== is)
            throw new SafetensorsError(
              'BadEntry',
              { file: path, key },
              `it was said to be ${said}, and what was read is ${is}`,
              'say what it is',
            )
          await writeAll(handle, orThrow(entryBytes(key, entry.right, path)), pieceBytes)
        }
      }),
    ),
    TE.mapLeft((e): SafetensorsError | Err => unread ?? e),
  )
}

const headOf = ({ dtype, shape }: TensorHead): string => `${dtype} [${shape}]`

const writeAll = async (handle: FileHandle, bytes: Uint8Array, pieceBytes: number): Promise<void> => {
  for (let at = 0; at < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, at, Math.min(pieceBytes, bytes.length - at))
    at += bytesWritten
  }
}
