/** Types of elements on a device, and how the host holds them. */

/** PJRT's code of a type, its bytes, the array that holds it on the host, and StableHLO's name. */
const types = {
  bool: { code: 1, bytes: 1, array: Uint8Array, hlo: 'i1' },
  int32: { code: 4, bytes: 4, array: Int32Array, hlo: 'i32' },
  int64: { code: 5, bytes: 8, array: BigInt64Array, hlo: 'i64' },
  uint8: { code: 6, bytes: 1, array: Uint8Array, hlo: 'ui8' },
  uint32: { code: 8, bytes: 4, array: Uint32Array, hlo: 'ui32' },
  float16: { code: 10, bytes: 2, array: Uint16Array, hlo: 'f16' },
  float32: { code: 11, bytes: 4, array: Float32Array, hlo: 'f32' },
  bfloat16: { code: 13, bytes: 2, array: Uint16Array, hlo: 'bf16' },
} as const

/** A type of elements on a device. */
export type ElementType = keyof typeof types

/** The array in which the host holds elements; bfloat16 and float16 by their bits. */
export type HostArray =
  | Uint8Array<ArrayBuffer>
  | Uint16Array<ArrayBuffer>
  | Int32Array<ArrayBuffer>
  | Uint32Array<ArrayBuffer>
  | BigInt64Array<ArrayBuffer>
  | Float32Array<ArrayBuffer>

/** PJRT's code. */
export const codeOf = (type: ElementType): number => types[type].code
/** Bytes an element. */
export const bytesOf = (type: ElementType): number => types[type].bytes
/** StableHLO's name. */
export const hloName = (type: ElementType): string => types[type].hlo
/** The type of a code. */
export const typeOfCode = (code: number): ElementType | undefined =>
  (Object.keys(types) as ElementType[]).find((t) => types[t].code === code)
/** A host array of so many elements. */
export const hostArray = (type: ElementType, count: number): HostArray =>
  new types[type].array(new ArrayBuffer(count * types[type].bytes))
