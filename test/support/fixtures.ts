/** Reference cases in test/fixtures: numbers computed with the field's own libraries. See the README there. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { isFloatDtype, type StorageDtype } from '../../src/formats/dtype.ts'
import { decode, type StoredTensor, storedFloats, storedInts } from '../../src/formats/safetensors.ts'

/** One array of a case: float32 for `F32`, int32 for the integer dtypes. */
export type CaseArray =
  | { readonly shape: readonly number[]; readonly dtype: 'F32' | 'F16' | 'BF16'; readonly data: Float32Array }
  | {
      readonly shape: readonly number[]
      readonly dtype: 'I64' | 'I32' | 'U8' | 'BOOL'
      readonly data: Int32Array
    }

/** A reference case: `case.json`, and where they exist `config.json`, `model.safetensors`, `io.safetensors`. */
export interface ReferenceCase {
  /** `case.json`: what it is, source, versions, `relative_tolerance`, settings. */
  readonly case: {
    readonly name: string
    readonly what: string
    readonly source: string
    readonly versions: string
    readonly relative_tolerance: number
    readonly arrays: Readonly<Record<string, readonly [dtype: string, shape: readonly number[]]>>
    // biome-ignore lint/suspicious/noExplicitAny: each case has settings of its own
    readonly settings?: any
    readonly note?: string
  }
  /** `config.json` of the model, `{}` where the case has none. */
  // biome-ignore lint/suspicious/noExplicitAny: a published model's configuration, read by the models' own codecs
  readonly config: any
  /** The weights under the published checkpoint's keys. Empty where the case has none. */
  readonly weights: ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Float32Array }>
  /** Inputs, expected outputs, and `grad:<key>`: expected gradients of `loss`. */
  readonly io: ReadonlyMap<string, CaseArray>
  /** A float32 array of `io`; throws where it is missing or holds integers. */
  readonly floats: (name: string) => Float32Array
  /** An integer array of `io` as int32; throws where it is missing or holds floats. */
  readonly ints: (name: string) => Int32Array
  /** The shape of an array of `io`; throws where it is missing. */
  readonly shape: (name: string) => readonly number[]
}

const folder = new URL('../fixtures/', import.meta.url)

/** The path of a file or folder in test/fixtures. */
export const fixturePath = (path: string): string => fileURLToPath(new URL(path, folder))

/** A JSON file in test/fixtures. */
// biome-ignore lint/suspicious/noExplicitAny: fixtures are read as they are
export const fixtureJson = (path: string): any => JSON.parse(readFileSync(fixturePath(path), 'utf8'))

const tensors = (path: string): ReadonlyMap<string, StoredTensor> => {
  const result = decode(readFileSync(fixturePath(path)), path)
  if (result._tag === 'Left') throw result.left
  return result.right
}

const values = (key: string, tensor: StoredTensor): CaseArray => {
  const { shape } = tensor
  const dtype: StorageDtype = tensor.dtype
  if (isFloatDtype(dtype)) {
    const floats = storedFloats(tensor, key)
    if (floats._tag === 'Left') throw floats.left
    return { shape, dtype, data: floats.right }
  }
  const ints = storedInts(tensor, key)
  if (ints._tag === 'Left') throw ints.left
  return { shape, dtype, data: ints.right }
}

const unlessMissing = <A>(read: () => A, otherwise: A): A => {
  try {
    return read()
  } catch (e) {
    if ((e as NodeJS.ErrnoException).code === 'ENOENT') return otherwise
    throw e
  }
}

/** Reads a case of test/fixtures/models. */
export const loadCase = (name: string): ReferenceCase => {
  const at = `models/${name}`
  const io = new Map([...tensors(`${at}/io.safetensors`)].map(([key, x]) => [key, values(key, x)]))
  const stored = unlessMissing(() => tensors(`${at}/model.safetensors`), new Map<string, StoredTensor>())
  const weights = new Map(
    [...stored].map(([key, x]) => {
      const { dtype, shape, data } = values(key, x)
      if (!(data instanceof Float32Array))
        throw new Error(`${at}: weight ${key} is ${dtype}, not floating-point`)
      return [key, { shape, data }]
    }),
  )
  const get = (key: string): CaseArray => {
    const array = io.get(key)
    if (array === undefined) throw new Error(`${at} has no array ${key}; it has ${[...io.keys()].join(', ')}`)
    return array
  }
  return {
    case: fixtureJson(`${at}/case.json`),
    config: unlessMissing(() => fixtureJson(`${at}/config.json`), {}),
    weights,
    io,
    floats: (key) => {
      const { data, dtype } = get(key)
      if (!(data instanceof Float32Array)) throw new Error(`${at}: ${key} is ${dtype}; read it with ints`)
      return data
    },
    ints: (key) => {
      const { data, dtype } = get(key)
      if (!(data instanceof Int32Array)) throw new Error(`${at}: ${key} is ${dtype}; read it with floats`)
      return data
    },
    shape: (key) => get(key).shape,
  }
}

/**
 * The largest difference relative to the largest expected magnitude: max |aᵢ − eᵢ| / max(max |eᵢ|, 1e-30), over
 * the whole array. Elements near zero are thus measured against the array's scale and not against themselves.
 * Infinite where an element is not a number on either side; an error where the lengths differ.
 */
export const maxRelativeError = (actual: ArrayLike<number>, expected: ArrayLike<number>): number => {
  if (actual.length !== expected.length)
    throw new RangeError(`${actual.length} elements were given where ${expected.length} are expected`)
  let difference = 0
  let scale = 1e-30
  for (let i = 0; i < expected.length; i++) {
    const d = Math.abs(actual[i]! - expected[i]!)
    if (!(d < Infinity)) return Infinity
    difference = Math.max(difference, d)
    scale = Math.max(scale, Math.abs(expected[i]!))
  }
  return difference / scale
}
