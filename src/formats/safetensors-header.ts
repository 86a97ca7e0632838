/**
 * The safetensors header: 8 bytes of length (unsigned, little-endian), then that many bytes of JSON, which give
 * every tensor's dtype, shape and place in the data that follows.
 *
 * Pure. Everything that a file can get wrong is told apart and named; nothing is read that was not checked.
 * Format: https://github.com/huggingface/safetensors#format
 *
 * @since 0.1.0
 */
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import * as t from 'io-ts'
import { bytesPerElement, isStorageDtype, type StorageDtype, storageDtypes } from './dtype.ts'
import { cutShort, isLfsPointer, lfsPointer } from './json.ts'
import { quote, SafetensorsError, type SafetensorsErrorTag } from './safetensors-error.ts'

/** Bytes of the length that precedes the header. */
export const prefixBytes = 8

/** The longest header that is read, in bytes: the format's own limit. */
export const maxHeaderBytes = 100_000_000

/** The header's key for the file's own notes. */
export const metadataKey = '__metadata__'

/**
 * One tensor's place: `begin` and `end` are byte offsets into the data after the header.
 *
 * @category model
 */
export interface TensorInfo {
  readonly dtype: StorageDtype
  readonly shape: readonly number[]
  readonly begin: number
  readonly end: number
}

/**
 * A checked header. The tensors cover the data from its start to its end without holes or overlaps, and are
 * listed in that order.
 *
 * @category model
 */
export interface Header {
  readonly tensors: ReadonlyMap<string, TensorInfo>
  readonly metadata: Readonly<Record<string, string>>
  /** Where the data begins, in bytes from the start of the file. */
  readonly dataStart: number
  /** Bytes of the data. */
  readonly dataBytes: number
}

// --- codecs -----------------------------------------------------------------------------------------------

export const Size: t.Type<number> = new t.Type(
  'a whole number from 0 up',
  (u): u is number => typeof u === 'number' && Number.isSafeInteger(u) && u >= 0 && !Object.is(u, -0),
  (u, c) => (Size.is(u) ? t.success(u) : t.failure(u, c)),
  t.identity,
)

const Dtype: t.Type<StorageDtype> = new t.Type(
  'a dtype',
  (u): u is StorageDtype => typeof u === 'string' && isStorageDtype(u),
  (u, c) => (Dtype.is(u) ? t.success(u) : t.failure(u, c)),
  t.identity,
)

const Offsets: t.Type<readonly [begin: number, end: number]> = new t.Type(
  'two whole numbers',
  (u): u is readonly [number, number] => Array.isArray(u) && u.length === 2 && u.every(Size.is),
  (u, c) => (Offsets.is(u) ? t.success(u) : t.failure(u, c)),
  t.identity,
)

/** What the header's JSON says of one tensor. */
const Entry = t.type({ dtype: Dtype, shape: t.array(Size), data_offsets: Offsets })

export const Metadata = t.record(t.string, t.string)

const entryFault: Record<string, readonly [SafetensorsErrorTag, string]> = {
  dtype: ['UnknownDtype', `the dtypes that can be read are ${Object.keys(storageDtypes).join(', ')}`],
  shape: ['BadShape', 'a shape is a list of whole numbers from 0 up'],
  data_offsets: ['BadOffsets', 'data_offsets are two whole numbers, [begin, end]'],
}

const again = 'the file is damaged or not a safetensors file: download or write it again'

// --- decoding ---------------------------------------------------------------------------------------------

/**
 * Reads the length of the header from the first bytes of a file.
 *
 * @param head the file's first bytes, 8 or more where it has them
 * @param fileBytes the size of the whole file
 * @category decoding
 */
export const headerLength = (
  head: Uint8Array,
  fileBytes: number,
  file = '<bytes>',
): E.Either<SafetensorsError, number> => {
  const fail = (tag: SafetensorsErrorTag, what: string) =>
    E.left(new SafetensorsError(tag, { file }, what, again))
  if (head.length < prefixBytes || fileBytes < prefixBytes)
    return fail(
      'Truncated',
      `the file has ${Math.min(head.length, fileBytes)} bytes, fewer than the 8 of the header's length`,
    )
  // more of the file may not be at hand
  if (new TextDecoder().decode(head.subarray(0, prefixBytes)) === lfsPointer.slice(0, prefixBytes))
    return E.left(new SafetensorsError('BadHeader', { file }, 'the file does not hold tensors', isLfsPointer))
  const length = new DataView(head.buffer, head.byteOffset, prefixBytes).getBigUint64(0, true)
  if (length > BigInt(maxHeaderBytes))
    return fail(
      'HeaderTooLarge',
      `the header is said to have ${length} bytes; the limit is ${maxHeaderBytes}`,
    )
  if (prefixBytes + Number(length) > fileBytes)
    return fail('Truncated', `the header is said to have ${length} bytes, but the file has only ${fileBytes}`)
  return E.right(Number(length))
}

/**
 * Reads and checks a header.
 *
 * @param head the file's first bytes: at least the whole header, and no more is looked at
 * @param fileBytes the size of the whole file; that of `head` where it is the whole file
 * @param file the name that errors speak of
 * @category decoding
 */
export const decodeHeader = (
  head: Uint8Array,
  fileBytes: number = head.length,
  file = '<bytes>',
): E.Either<SafetensorsError, Header> =>
  pipe(
    headerLength(head, fileBytes, file),
    E.chain((length) => {
      if (head.length < prefixBytes + length)
        return E.left(
          new SafetensorsError(
            'Truncated',
            { file },
            `the header has ${length} bytes, of which ${head.length - prefixBytes} were given`,
            'give all bytes of the header',
          ),
        )
      const dataStart = prefixBytes + length
      return pipe(
        parseObject(head.subarray(prefixBytes, dataStart), file),
        E.chain((entries) => checkEntries(entries, dataStart, fileBytes - dataStart, file)),
      )
    }),
  )

/** The header's JSON as its keys and values, none of which is checked. */
const parseObject = (bytes: Uint8Array, file: string): E.Either<SafetensorsError, [string, unknown][]> => {
  const fail = (tag: SafetensorsErrorTag, what: string, key?: string) =>
    E.left(new SafetensorsError(tag, { file, key }, what, again))
  if (bytes[0] !== 0x7b) return fail('BadHeader', "the header does not begin with '{'")
  let text: string
  let json: unknown
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return fail('BadHeader', 'the header is not UTF-8')
  }
  try {
    json = JSON.parse(text)
  } catch (e) {
    return fail('BadHeader', `the header is not JSON (${cutShort((e as Error).message)})`)
  }
  const twice = duplicateKey(text)
  if (twice !== undefined) return fail('DuplicateKey', 'the header has this key twice in one object', twice)
  return E.right(Object.entries(json as object))
}

/** The first key that occurs twice in one object of a valid JSON text; `JSON.parse` keeps only the last. */
const duplicateKey = (json: string): string | undefined => {
  const open: (Set<string> | undefined)[] = [] // undefined: an array
  let isKey = false
  for (let i = 0; i < json.length; i++) {
    const c = json.charCodeAt(i)
    if (c === 0x22) {
      const start = i++
      for (let q = json.charCodeAt(i); q !== 0x22; q = json.charCodeAt(++i)) if (q === 0x5c) i++
      if (!isKey) continue
      const key: string = JSON.parse(json.slice(start, i + 1))
      const seen = open[open.length - 1]!
      if (seen.has(key)) return key
      seen.add(key)
      isKey = false
    } else if (c === 0x7b) isKey = open.push(new Set()) > 0
    else if (c === 0x5b) open.push(undefined)
    else if (c === 0x7d || c === 0x5d) {
      open.pop()
      isKey = false
    } else if (c === 0x2c) isKey = open[open.length - 1] !== undefined
  }
  return undefined
}

const checkEntries = (
  entries: [string, unknown][],
  dataStart: number,
  dataBytes: number,
  file: string,
): E.Either<SafetensorsError, Header> => {
  let metadata: Record<string, string> = {}
  const found: [string, TensorInfo][] = []
  for (const [key, value] of entries) {
    if (key === metadataKey) {
      if (!Metadata.is(value)) {
        const what = `${metadataKey} must map texts to texts, not ${quote(value)}`
        return E.left(new SafetensorsError('BadMetadata', { file }, what, again))
      }
      metadata = value
      continue
    }
    const info = checkEntry(key, value, file)
    if (E.isLeft(info)) return info
    found.push([key, info.right])
  }
  found.sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end)
  let at = 0
  for (const [key, { begin, end }] of found) {
    const fail = (tag: SafetensorsErrorTag, what: string) =>
      E.left(new SafetensorsError(tag, { file, key }, what, again))
    if (begin < at)
      return fail('BadOffsets', `its bytes begin at ${begin}, inside another tensor's, which end at ${at}`)
    if (begin > at)
      return fail('BadOffsets', `its bytes begin at ${begin}, after a hole that begins at ${at}`)
    if (end > dataBytes)
      return fail('Truncated', `its bytes end at ${end} of the data, but the file holds only ${dataBytes}`)
    at = end
  }
  return at === dataBytes
    ? E.right({ tensors: new Map(found), metadata, dataStart, dataBytes })
    : E.left(
        new SafetensorsError(
          'TrailingBytes',
          { file },
          `${dataBytes - at} bytes follow after the last tensor, which ends at ${at} of the data`,
          again,
        ),
      )
}

const checkEntry = (key: string, value: unknown, file: string): E.Either<SafetensorsError, TensorInfo> => {
  const fail = (tag: SafetensorsErrorTag, what: string, todo = again) =>
    E.left(new SafetensorsError(tag, { file, key }, what, todo))
  if (!isWellFormed(key)) return fail('BadHeader', 'the key has half of a surrogate pair')
  const decoded = Entry.decode(value)
  if (E.isLeft(decoded)) {
    const error = decoded.left[0]!
    const field = error.context[1]?.key
    const fault = field === undefined ? undefined : entryFault[field]
    if (fault === undefined) return fail('BadHeader', `its entry is not an object but ${quote(value)}`)
    return fail(fault[0], `${field} is ${quote((value as Record<string, unknown>)[field!])}`, fault[1])
  }
  const { dtype, shape, data_offsets } = decoded.right
  const [begin, end] = data_offsets
  if (end < begin) return fail('BadOffsets', `its bytes end at ${end}, before they begin at ${begin}`)
  const bytes = tensorBytes(dtype, shape)
  if (bytes === undefined)
    return fail('BadShape', `the shape ${quote(shape)} has more elements than can be counted`)
  if (end - begin !== bytes)
    return fail(
      'BadOffsets',
      `${dtype} of shape ${quote(shape)} takes ${bytes} bytes, but it was given ${end - begin}`,
    )
  return E.right({ dtype, shape, begin, end })
}

/** Bytes of a tensor; undefined where they are too many to be counted exactly. */
export const tensorBytes = (dtype: StorageDtype, shape: readonly number[]): number | undefined => {
  let elements = 1
  for (const size of shape) {
    elements *= size
    if (!Number.isSafeInteger(elements)) return undefined
  }
  const bytes = elements * bytesPerElement(dtype)
  return Number.isSafeInteger(bytes) ? bytes : undefined
}

/** Does the text have a UTF-8 form, that is, no half of a surrogate pair? */
export const isWellFormed = (text: string): boolean => !/\p{Surrogate}/u.test(text)
