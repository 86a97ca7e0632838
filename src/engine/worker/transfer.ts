/**
 * Arrays on their way between threads. A large one is moved or shared, never cloned:
 *
 * - what its owner goes on using is copied once, and the copy is moved;
 * - what is given away is moved, or copied once where it is a part of a larger buffer, which may be others' as well;
 * - what lies in a `SharedArrayBuffer` is shared.
 *
 * What calls are given comes batch after batch: a session copies it into memory that both threads see and that it uses again
 * ({@link callMemory}), so that no call makes megabytes anew, which the system has to clear and V8's collector to find.
 */
import type { Data } from '../../dsl/index.ts'
import type { TensorValue } from '../session.ts'

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

/** From so many bytes on memory is used again. */
const large = 2 ** 16
/** Bytes that wait for the next calls, at most. */
const waiting = 2 ** 26

/** The memory of one call's inputs. */
export interface CallMemory {
  /** A copy of an array that its owner keeps; undefined of what is small or shared already. */
  readonly copied: (data: Data) => Data | undefined
  /** The thread has answered: it reads none of the copies any more. */
  readonly answered: () => void
}

/** Shared memory of a session: a piece is one call's from the copy until that call has its answer, then the next one's. */
export const callMemory = (): (() => CallMemory) => {
  const free = new Map<number, SharedArrayBuffer[]>()
  let bytes = 0
  const taken = (size: number): SharedArrayBuffer => {
    const found = free.get(size)?.pop()
    if (found === undefined) return new SharedArrayBuffer(size)
    bytes -= size
    return found
  }
  const given = (piece: SharedArrayBuffer): void => {
    const size = piece.byteLength
    // sizes that are not called with any more make room for those that are
    if (bytes + size > waiting) {
      free.clear()
      bytes = 0
    }
    bytes += size
    free.set(size, [...(free.get(size) ?? []), piece])
  }
  return () => {
    const own: SharedArrayBuffer[] = []
    return {
      copied: (data) => {
        if (data.byteLength < large || data.buffer instanceof SharedArrayBuffer) return undefined
        const piece = taken(data.byteLength)
        own.push(piece)
        const copy =
          data instanceof Float32Array
            ? new Float32Array(piece)
            : data instanceof Int32Array
              ? new Int32Array(piece)
              : new Uint8Array(piece)
        copy.set(data)
        return copy
      },
      answered: () => {
        for (const piece of own.splice(0)) given(piece)
      },
    }
  }
}
