/** Memory that weights pass through on their way into a library that copies them. */

/** One buffer, used again and again. */
export interface Room {
  /** Place for that many float32; undefined where no more is free. */
  readonly floats: (length: number) => Float32Array | undefined
  /** Frees all places: what lies there has been copied. */
  readonly empty: () => void
}

/** TensorFlow takes an array in place where its address is a multiple of this; others it copies once more. */
const line = 64
/** A large buffer of Node's begins this far before such an address. */
const lead = 48

/**
 * A room of that many bytes, which is asked of the system when it is first needed. A large model's weights then cost it the
 * pages of one room, and the garbage collector one array; an array a weight costs it all of the model's once more.
 */
export const room = (bytes: number): Room => {
  let buffer: ArrayBuffer | undefined
  let at = lead
  return {
    floats: (length) => {
      const end = at + 4 * length
      if (end > lead + bytes) return undefined
      buffer ??= new ArrayBuffer(lead + bytes)
      const place = new Float32Array(buffer, at, length)
      at = lead + Math.ceil((end - lead) / line) * line
      return place
    },
    empty: () => {
      at = lead
    },
  }
}
