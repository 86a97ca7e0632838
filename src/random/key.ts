/**
 * Keys of random streams, made of a seed and a path of names and numbers.
 *
 * @since 0.1.0
 */
import { type RandomKey, threefry } from './threefry.ts'

/** What a seed or a step of a path may be: a text, or a safe integer (negative ones too). 7 and '7' are different. */
export type Seed = string | number

/** Spells a path so that no two paths have one spelling. */
const spelled = (parts: readonly Seed[]): string =>
  parts
    .map((part, i) => {
      if (typeof part === 'string') return `$${part.length}:${part}`
      if (Number.isSafeInteger(part)) return `#${part}`
      const what = i === 0 ? 'a seed' : `step ${i} of a random stream's path`
      throw new RangeError(
        `${what} is ${String(part)}; give a text or a whole number up to 2^53 − 1 either way`,
      )
    })
    .join('/')

/**
 * The key that belongs to a seed and a path: 128 bits, so that two different ones never meet in practice.
 *
 * The hash is Matyas-Meyer-Oseas over {@link threefry}: block by block, the hash so far is the key and the text is the
 * counter, and the text is added to what comes out. The text's length goes before it, so that padding adds no meaning.
 *
 * @throws RangeError for NaN, a fraction, or a number that is no safe integer
 */
export const keyOf = (seed: Seed, ...path: readonly Seed[]): RandomKey => {
  const text = spelled([seed, ...path])
  const hash = Int32Array.of(text.length, 0, 0, 0)
  const block = new Int32Array(4)
  const mixed = new Int32Array(4)
  for (let at = 0; at < text.length; at += 8) {
    // two UTF-16 code units a word; beyond the end there are zeros
    for (let w = 0; w < 4; w++)
      block[w] = text.charCodeAt(at + 2 * w) | (text.charCodeAt(at + 2 * w + 1) << 16)
    threefry(hash, block[0]!, block[1]!, block[2]!, block[3]!, mixed)
    for (let w = 0; w < 4; w++) hash[w] = mixed[w]! ^ block[w]!
  }
  return hash
}
