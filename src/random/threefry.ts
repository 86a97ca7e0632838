/**
 * Threefry-4x32-20: a counter-based generator. A key of 128 bits turns a counter of 128 bits into 128 random bits, by
 * additions, rotations and exclusive-ors alone, so that every machine computes the same ones, and any block of a stream
 * is computed without the ones before it.
 *
 * Source: J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011;
 * checked against the known answers that its authors publish.
 *
 * @since 0.1.0
 */

/** 128 bits that determine a stream: {@link keyOf} makes one of a seed and names. */
export type RandomKey = Int32Array

const rotate = (x: number, by: number): number => (x << by) | (x >>> (32 - by))

/**
 * Blocks of a key's stream, four 32-bit words each: those of consecutive counters, as many as `out` has room for.
 *
 * Twenty rounds; after every fourth a subkey is added. The loop has eight rounds, for the rotations repeat after eight.
 *
 * @param counter0 the first counter's lowest 32 bits; it carries into `counter1`
 * @param out words as signed integers; its length is a multiple of four
 */
export const threefry = (
  key: RandomKey,
  counter0: number,
  counter1: number,
  counter2: number,
  counter3: number,
  out: Int32Array,
): void => {
  let low = counter0 | 0
  let high = counter1 | 0
  for (let at = 0; at < out.length; at += 4) {
    let k0 = key[0]!
    let k1 = key[1]!
    let k2 = key[2]!
    let k3 = key[3]!
    let k4 = 0x1bd11bda ^ k0 ^ k1 ^ k2 ^ k3
    let a = (low + k0) | 0
    let b = (high + k1) | 0
    let c = (counter2 + k2) | 0
    let d = (counter3 + k3) | 0
    for (let subkey = 1; ; subkey += 2) {
      a = (a + b) | 0
      b = rotate(b, 10) ^ a
      c = (c + d) | 0
      d = rotate(d, 26) ^ c
      a = (a + d) | 0
      d = rotate(d, 11) ^ a
      c = (c + b) | 0
      b = rotate(b, 21) ^ c
      a = (a + b) | 0
      b = rotate(b, 13) ^ a
      c = (c + d) | 0
      d = rotate(d, 27) ^ c
      a = (a + d) | 0
      d = rotate(d, 23) ^ a
      c = (c + b) | 0
      b = rotate(b, 5) ^ c
      a = (a + k1) | 0
      b = (b + k2) | 0
      c = (c + k3) | 0
      d = (d + k4 + subkey) | 0
      if (subkey === 5) break
      a = (a + b) | 0
      b = rotate(b, 6) ^ a
      c = (c + d) | 0
      d = rotate(d, 20) ^ c
      a = (a + d) | 0
      d = rotate(d, 17) ^ a
      c = (c + b) | 0
      b = rotate(b, 11) ^ c
      a = (a + b) | 0
      b = rotate(b, 25) ^ a
      c = (c + d) | 0
      d = rotate(d, 10) ^ c
      a = (a + d) | 0
      d = rotate(d, 18) ^ a
      c = (c + b) | 0
      b = rotate(b, 20) ^ c
      a = (a + k2) | 0
      b = (b + k3) | 0
      c = (c + k4) | 0
      d = (d + k0 + subkey + 1) | 0
      const first = k0
      const second = k1
      k0 = k2
      k1 = k3
      k2 = k4
      k3 = first
      k4 = second
    }
    out[at] = a
    out[at + 1] = b
    out[at + 2] = c
    out[at + 3] = d
    low = (low + 1) | 0
    if (low === 0) high = (high + 1) | 0
  }
}

/**
 * The words `4 · block` and after of a key's stream, as many as `out` holds.
 *
 * @param block a whole number from 0 to 2⁵¹
 * @param out words as signed integers; its length is a multiple of four
 */
export const wordsFrom = (key: RandomKey, block: number, out: Int32Array): void =>
  threefry(key, block | 0, Math.floor(block / 2 ** 32), 0, 0, out)
