/**
 * Arrays on their way between threads. A large one is moved or shared, never cloned:
 *
 * - what its owner goes on using is copied once, and the copy is moved;
 * - what is given away is moved, or copied once where it is a part of a larger buffer, which may be others' as well;
 * - what lies in a `SharedArrayBuffer` is shared.
 */
import type { TensorValue } from '../session.ts'
import type { Data } from '../values.ts'

/** What is sent with one message, and the buffers that move with it. */
export interface Parcel {
  readonly moved: Set<ArrayBuffer>
  /** An array that its owner keeps. */
  readonly lend: (data: Data) => Data
  /** An array that belongs to the receiver from now on. */
  readonly give: (data: Data) => Data
}

/** Begins a message. */
export const parcel = (): Parcel => {
  const moved = new Set<ArrayBuffer>()
  const move = (data: Data): Data => {
    moved.add(data.buffer as ArrayBuffer)
    return data
  }
  const lend = (data: Data): Data =>
    data.buffer instanceof SharedArrayBuffer ? data : move(data.slice() as Data)
  return {
    moved,
    lend,
    give: (data) =>
      data.buffer instanceof SharedArrayBuffer || data.byteLength !== data.buffer.byteLength
        ? lend(data)
        : move(data),
  }
}

/** Values by name or key as a message holds them. */
export type SentValues = readonly (readonly [string, TensorValue])[]

/** Packs values. */
export const packed = (
  values: Iterable<readonly [string, TensorValue]>,
  pass: (data: Data) => Data,
): SentValues =>
  [...values].map(([name, { shape, dtype, data }]) => [name, { shape: [...shape], dtype, data: pass(data) }])
