/**
 * Safetensors files as bytes in memory: tensors to bytes and back. Pure.
 *
 * @since 0.1.0
 */
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import {
  bytesToFloats,
  bytesToInts,
  floatsToBytes,
  intsToBytes,
  isFloatDtype,
  isStorageDtype,
  type StorageDtype,
  storageDtypes,
} from './dtype.ts'
import { quote, SafetensorsError, type SafetensorsErrorTag } from './safetensors-error.ts'
import {
  decodeHeader,
  isWellFormed,
  Metadata,
  maxHeaderBytes,
  metadataKey,
  prefixBytes,
  Size,
  tensorBytes,
} from './safetensors-header.ts'

/**
 * A tensor as it lies in a file: elements in row-major order, little-endian.
 *
 * @category model
 */
export interface StoredTensor {
  readonly dtype: StorageDtype
  readonly shape: readonly number[]
  readonly bytes: Uint8Array
}

/**
 * A tensor to be written: its bytes as they are to lie in the file, or its values, which are converted to the
 * dtype when their turn comes (float32 to F32, F16 or BF16, rounded to nearest even; int32 to the others).
 *
 * @category model
 */
export type Entry =
  | StoredTensor
  | {
      readonly dtype: StorageDtype
      readonly shape: readonly number[]
      readonly values: Float32Array | Int32Array
    }

/** The tensors to be written, by key. Their order does not matter. */
export type Entries = ReadonlyMap<string, Entry>

// --- encoding ---------------------------------------------------------------------------------------------

/** The dtypes in the order in which their tensors are written: widest elements first keeps each one aligned. */
const writeOrder: readonly StorageDtype[] = ['I64', 'F32', 'I32', 'BF16', 'F16', 'U8', 'BOOL']

/**
 * Lays tensors out and writes their header: the 8 bytes of length, then the JSON, padded with spaces to a
 * multiple of 8. Tensors lie widest dtype first, then by key; the same tensors give the same bytes in whatever
 * order they come, and the field's own library writes the same ones.
 *
 * @returns the header's bytes and the keys in the order in which their data must follow
 * @category encoding
 */
export const encodeHeader = (
  tensors: ReadonlyMap<string, { readonly dtype: StorageDtype; readonly shape: readonly number[] }>,
  metadata: Readonly<Record<string, string>> = {},
  file = '<bytes>',
): E.Either<SafetensorsError, { header: Uint8Array; order: readonly string[] }> => {
  const fail = (tag: SafetensorsErrorTag, key: string | undefined, what: string, todo: string) =>
    E.left(new SafetensorsError(tag, { file, key }, what, todo))
  const fields: string[] = []
  const notes = Object.entries(metadata).sort(([a], [b]) => compare(a, b))
  if (!Metadata.is(metadata) || notes.some(([k, v]) => !isWellFormed(k) || !isWellFormed(v)))
    return fail(
      'BadMetadata',
      undefined,
      'the metadata must map well-formed texts to such texts',
      'turn each value into a text',
    )
  if (notes.length > 0)
    fields.push(
      `"${metadataKey}":{${notes.map(([k, v]) => `${JSON.stringify(k)}:${JSON.stringify(v)}`).join(',')}}`,
    )
  const sorted = [...tensors].sort(
    ([a, x], [b, y]) => writeOrder.indexOf(x.dtype) - writeOrder.indexOf(y.dtype) || compare(a, b),
  )
  let at = 0
  for (const [key, { dtype, shape }] of sorted) {
    if (key === metadataKey || !isWellFormed(key))
      return fail('BadEntry', key, 'this key cannot be a tensor in a safetensors file', 'give it another')
    if (!isStorageDtype(dtype))
      return fail(
        'UnknownDtype',
        key,
        `dtype is ${quote(dtype)}`,
        `the dtypes are ${Object.keys(storageDtypes).join(', ')}`,
      )
    const bytes = shape.every(Size.is) ? tensorBytes(dtype, shape) : undefined
    if (bytes === undefined || !Number.isSafeInteger(at + bytes))
      return fail(
        'BadShape',
        key,
        `the shape is ${quote(shape)}`,
        'a shape is a list of whole numbers from 0 up',
      )
    fields.push(
      `${JSON.stringify(key)}:{"dtype":"${dtype}","shape":[${shape.join(',')}],"data_offsets":[${at},${at + bytes}]}`,
    )
    at += bytes
  }
  const json = new TextEncoder().encode(`{${fields.join(',')}}`)
  const length = Math.ceil(json.length / 8) * 8
  if (length > maxHeaderBytes)
    return fail(
      'HeaderTooLarge',
      undefined,
      `the header would have ${length} bytes; the limit is ${maxHeaderBytes}`,
      'write the tensors into several files',
    )
  const header = new Uint8Array(prefixBytes + length).fill(0x20)
  new DataView(header.buffer).setBigUint64(0, BigInt(length), true)
  header.set(json, prefixBytes)
  return E.right({ header, order: sorted.map(([key]) => key) })
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

// --- whole files --------------------------------------------------------------------------------------------

/**
 * The tensors of a whole file in memory. Their bytes are views into it.
 *
 * @category decoding
 */
export const decode = (
  bytes: Uint8Array,
  file = '<bytes>',
): E.Either<SafetensorsError, ReadonlyMap<string, StoredTensor>> =>
  pipe(
    decodeHeader(bytes, bytes.length, file),
    E.map(
      ({ tensors, dataStart }) =>
        new Map(
          [...tensors].map(([key, { dtype, shape, begin, end }]) => [
            key,
            { dtype, shape, bytes: bytes.subarray(dataStart + begin, dataStart + end) },
          ]),
        ),
    ),
  )

/**
 * A whole file in memory. The same tensors and metadata give the same bytes.
 *
 * @category encoding
 */
export const encode = (
  entries: Entries,
  metadata: Readonly<Record<string, string>> = {},
  file = '<bytes>',
): E.Either<SafetensorsError, Uint8Array> =>
  pipe(
    encodeHeader(entries, metadata, file),
    E.chain(({ header, order }) => {
      const parts = [header]
      for (const key of order) {
        const data = entryBytes(key, entries.get(key)!, file)
        if (E.isLeft(data)) return data
        parts.push(data.right)
      }
      const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0))
      let at = 0
      for (const part of parts) {
        out.set(part, at)
        at += part.length
      }
      return E.right(out)
    }),
  )

const wrongDtype = (
  file: string,
  key: string,
  what: string,
  todo: string,
): E.Either<SafetensorsError, never> => E.left(new SafetensorsError('WrongDtype', { file, key }, what, todo))

/** The values of a stored floating-point tensor as float32. */
export const storedFloats = (
  tensor: StoredTensor,
  key: string,
  file = '<bytes>',
): E.Either<SafetensorsError, Float32Array> =>
  isFloatDtype(tensor.dtype)
    ? E.right(bytesToFloats(tensor.dtype, tensor.bytes))
    : wrongDtype(file, key, `it is ${tensor.dtype}, not floating-point`, 'read it with ints')

/** The values of a stored integer or boolean tensor as int32. */
export const storedInts = (
  tensor: StoredTensor,
  key: string,
  file = '<bytes>',
): E.Either<SafetensorsError, Int32Array> =>
  isFloatDtype(tensor.dtype)
    ? wrongDtype(file, key, `it is ${tensor.dtype}, not an integer type`, 'read it with floats')
    : pipe(
        bytesToInts(tensor.dtype, tensor.bytes),
        E.mapLeft(
          (what) => new SafetensorsError('OutOfRange', { file, key }, what, 'read its bytes with tensor'),
        ),
      )

/** An entry's bytes, converted to its dtype and checked against its shape. */
export const entryBytes = (
  key: string,
  entry: Entry,
  file: string,
): E.Either<SafetensorsError, Uint8Array> => {
  const bad = (what: string, todo: string) =>
    E.left(new SafetensorsError('BadEntry', { file, key }, what, todo))
  const { dtype, shape } = entry
  const data =
    'bytes' in entry
      ? E.right(entry.bytes)
      : entry.values instanceof Float32Array
        ? isFloatDtype(dtype)
          ? E.right(floatsToBytes(dtype, entry.values))
          : E.left(`its values are floats and its dtype is ${dtype}`)
        : isFloatDtype(dtype)
          ? E.left(`its values are integers and its dtype is ${dtype}`)
          : intsToBytes(dtype, entry.values)
  if (E.isLeft(data)) return bad(data.left, 'give values that the dtype holds')
  const bytes = tensorBytes(dtype, shape)
  return data.right.length === bytes
    ? E.right(data.right)
    : bad(
        `${dtype} of shape [${shape}] takes ${bytes} bytes, but it has ${data.right.length}`,
        'give the shape of its values',
      )
}
