/**
 * Storage dtypes of checkpoint files and their exact conversions to the numbers that a program computes with.
 *
 * Every conversion works on whole arrays through integer views, so that no value passes through a JavaScript
 * number: infinities, subnormals, signed zeros and NaN payloads survive.
 *
 * @since 0.1.0
 */
import * as E from 'fp-ts/lib/Either.js'

/** The storage dtypes that can be read and written, each with its bytes per element. */
export const storageDtypes = {
  BOOL: 1,
  U8: 1,
  F16: 2,
  BF16: 2,
  I32: 4,
  F32: 4,
  I64: 8,
} as const

/**
 * How a tensor's elements lie in a file (little-endian), by the names of the safetensors format.
 *
 * @category model
 */
export type StorageDtype = keyof typeof storageDtypes

/** The dtypes that {@link bytesToFloats} reads. */
export type FloatDtype = 'F32' | 'F16' | 'BF16'

/** Is this the name of a dtype that can be read and written? */
export const isStorageDtype = (name: string): name is StorageDtype => Object.hasOwn(storageDtypes, name)

/** Is this one of the floating-point dtypes? */
export const isFloatDtype = (dtype: StorageDtype): dtype is FloatDtype =>
  dtype === 'F32' || dtype === 'F16' || dtype === 'BF16'

/** Bytes per element. */
export const bytesPerElement = (dtype: StorageDtype): number => storageDtypes[dtype]

// --- views ------------------------------------------------------------------------------------------------

/** Whether this machine's numbers lie as those of a file. */
export const hostIsLittleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1

/**
 * The same bytes in the host's order and at an offset that a typed array of `size`-byte elements accepts. Copied by the
 * constructor, for a Buffer's `slice` is a view of the same memory.
 */
const aligned = (bytes: Uint8Array, size: number): Uint8Array => {
  if (hostIsLittleEndian) return bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes)
  const swapped = new Uint8Array(bytes.length)
  for (let i = 0; i < bytes.length; i += size)
    for (let b = 0; b < size; b++) swapped[i + b] = bytes[i + size - 1 - b]!
  return swapped
}

/** The patterns of a 16-bit dtype from their little-endian bytes; they share memory where they may. */
export const patternsOf = (bytes: Uint8Array): Uint16Array => {
  const a = aligned(bytes, 2)
  return new Uint16Array(a.buffer, a.byteOffset, a.length >> 1)
}

/** The little-endian bytes of an array in the host's order. A view of it where the host is little-endian. */
const littleEndian = (array: Uint16Array | Float32Array | Int32Array): Uint8Array => {
  const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
  return hostIsLittleEndian ? bytes : aligned(bytes, array.BYTES_PER_ELEMENT)
}

const bits = (floats: Float32Array): Uint32Array =>
  new Uint32Array(floats.buffer, floats.byteOffset, floats.length)

// --- half precision ---------------------------------------------------------------------------------------

/** float32 bits of one IEEE 754 binary16 pattern. */
const expandF16 = (h: number): number => {
  const sign = (h & 0x8000) << 16
  const exponent = (h >>> 10) & 0x1f
  const fraction = h & 0x3ff
  if (exponent === 0x1f) return (sign | 0x7f800000 | (fraction << 13)) >>> 0
  if (exponent !== 0) return (sign | ((exponent + 112) << 23) | (fraction << 13)) >>> 0
  if (fraction === 0) return sign >>> 0
  const lead = Math.clz32(fraction) - 21 // how far the fraction's first one lies below bit 10
  return (sign | ((113 - lead) << 23) | (((fraction << lead) & 0x3ff) << 13)) >>> 0
}

const f16Table: Uint32Array = Uint32Array.from({ length: 65536 }, (_, h) => expandF16(h))

/**
 * IEEE 754 binary16 patterns to float32. Every pattern is exact, NaN payloads included.
 *
 * @category conversions
 */
export const f16ToF32 = (patterns: Uint16Array): Float32Array => {
  const out = new Float32Array(patterns.length)
  f16Into(patterns, bits(out))
  return out
}

const f16Into = (patterns: Uint16Array, to: Uint32Array): void => {
  for (let i = 0; i < to.length; i++) to[i] = f16Table[patterns[i]!]!
}

/**
 * float32 to IEEE 754 binary16 patterns, rounded to nearest, ties to even. Magnitudes from 65520 up become
 * infinite; below 2⁻¹⁴ the result is subnormal; a NaN stays a NaN and keeps the upper ten bits of its payload.
 *
 * @category conversions
 */
export const f32ToF16 = (floats: Float32Array): Uint16Array => {
  const from = bits(floats)
  const out = new Uint16Array(from.length)
  for (let i = 0; i < out.length; i++) {
    const x = from[i]!
    const sign = (x >>> 16) & 0x8000
    const magnitude = x & 0x7fffffff
    let h: number
    if (magnitude > 0x7f800000) h = 0x7c00 | ((magnitude >>> 13) & 0x3ff || 0x200)
    else if (magnitude >= 0x477ff000) h = 0x7c00
    else if (magnitude >= 0x38800000) h = (magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13
    else if (magnitude <= 0x33000000) h = 0
    else {
      const shift = 126 - (magnitude >>> 23)
      const significand = (magnitude & 0x7fffff) | 0x800000
      const rest = significand & ((1 << shift) - 1)
      const half = 1 << (shift - 1)
      h = significand >>> shift
      if (rest > half || (rest === half && (h & 1) === 1)) h++
    }
    out[i] = sign | h
  }
  return out
}

/**
 * bfloat16 patterns to float32: the upper half of the same number, so every pattern is exact.
 *
 * @category conversions
 */
export const bf16ToF32 = (patterns: Uint16Array): Float32Array => {
  const out = new Float32Array(patterns.length)
  bf16Into(patterns, bits(out))
  return out
}

const bf16Into = (patterns: Uint16Array, to: Uint32Array): void => {
  // two at a time where they lie so: half the reads
  const pairs = hostIsLittleEndian && patterns.byteOffset % 4 === 0 ? to.length >> 1 : 0
  const two = new Uint32Array(patterns.buffer, pairs === 0 ? 0 : patterns.byteOffset, pairs)
  for (let i = 0; i < pairs; i++) {
    const x = two[i]!
    to[2 * i] = x << 16
    to[2 * i + 1] = x & 0xffff0000
  }
  for (let i = 2 * pairs; i < to.length; i++) to[i] = patterns[i]! << 16
}

/**
 * float32 to bfloat16 patterns, rounded to nearest, ties to even; what rounds beyond the largest finite value
 * becomes infinite; a NaN stays a NaN and keeps the upper seven bits of its payload.
 *
 * @category conversions
 */
export const f32ToBf16 = (floats: Float32Array): Uint16Array => {
  const from = bits(floats)
  const out = new Uint16Array(from.length)
  for (let i = 0; i < out.length; i++) {
    const x = from[i]!
    if ((x & 0x7fffffff) > 0x7f800000) {
      const upper = x >>> 16
      out[i] = (upper & 0x7f) === 0 ? upper | 0x40 : upper
    } else out[i] = (x + 0x7fff + ((x >>> 16) & 1)) >>> 16
  }
  return out
}

// --- files' bytes to numbers and back ---------------------------------------------------------------------

/**
 * Little-endian bytes of a floating-point tensor as float32, exactly. For `F32` at an aligned offset the result
 * shares the bytes' memory; every other case is a copy.
 *
 * @category decoding
 */
export const bytesToFloats = (dtype: FloatDtype, bytes: Uint8Array): Float32Array => {
  if (dtype === 'F16') return f16ToF32(patternsOf(bytes))
  if (dtype === 'BF16') return bf16ToF32(patternsOf(bytes))
  const a = aligned(bytes, 4)
  return new Float32Array(a.buffer, a.byteOffset, a.length >> 2)
}

/** {@link bytesToFloats} into an array that is there. */
export const bytesIntoFloats = (dtype: FloatDtype, bytes: Uint8Array, out: Float32Array): void => {
  if (dtype === 'F16') f16Into(patternsOf(bytes), bits(out))
  else if (dtype === 'BF16') bf16Into(patternsOf(bytes), bits(out))
  else out.set(bytesToFloats(dtype, bytes))
}

/**
 * Little-endian bytes of an integer or boolean tensor as int32.
 *
 * @returns Left with a sentence where an `I64` value does not fit into 32 bits
 * @category decoding
 */
export const bytesToInts = (
  dtype: Exclude<StorageDtype, FloatDtype>,
  bytes: Uint8Array,
): E.Either<string, Int32Array> => {
  if (dtype === 'U8' || dtype === 'BOOL') return E.right(Int32Array.from(bytes))
  if (dtype === 'I32') {
    const a = aligned(bytes, 4)
    return E.right(new Int32Array(a.buffer, a.byteOffset, a.length >> 2))
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const out = new Int32Array(bytes.length >> 3)
  for (let i = 0; i < out.length; i++) {
    const low = view.getInt32(8 * i, true)
    if (view.getInt32(8 * i + 4, true) !== low >> 31)
      return E.left(`element ${i} is ${view.getBigInt64(8 * i, true)}, which does not fit into 32 bits`)
    out[i] = low
  }
  return E.right(out)
}

/**
 * float32 values as the little-endian bytes of a floating-point dtype, rounded to nearest even where the dtype
 * is narrower. For `F32` the result shares the values' memory.
 *
 * @category encoding
 */
export const floatsToBytes = (dtype: FloatDtype, floats: Float32Array): Uint8Array =>
  littleEndian(dtype === 'F16' ? f32ToF16(floats) : dtype === 'BF16' ? f32ToBf16(floats) : floats)

/**
 * int32 values as the little-endian bytes of an integer or boolean dtype.
 *
 * @returns Left with a sentence where a value is outside the dtype's range (`BOOL` takes 0 and 1)
 * @category encoding
 */
export const intsToBytes = (
  dtype: Exclude<StorageDtype, FloatDtype>,
  ints: Int32Array,
): E.Either<string, Uint8Array> => {
  if (dtype === 'I32') return E.right(littleEndian(ints))
  if (dtype === 'I64') {
    const bytes = new Uint8Array(8 * ints.length)
    const view = new DataView(bytes.buffer)
    for (let i = 0; i < ints.length; i++) {
      view.setInt32(8 * i, ints[i]!, true)
      view.setInt32(8 * i + 4, ints[i]! >> 31, true)
    }
    return E.right(bytes)
  }
  const most = dtype === 'BOOL' ? 1 : 255
  const bad = ints.findIndex((n) => n < 0 || n > most)
  return bad < 0
    ? E.right(Uint8Array.from(ints))
    : E.left(`element ${bad} is ${ints[bad]}, outside the range 0 to ${most} of ${dtype}`)
}
