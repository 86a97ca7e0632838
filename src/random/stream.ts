/**
 * Streams of random draws: one after the other, from a seed and a path of names and numbers.
 *
 * @since 0.1.0
 */
import { keyOf, type Seed } from './key.ts'
import { normalOf } from './normal.ts'
import { wordsFrom } from './threefry.ts'

/** A stream of random draws. It is stateful: each call moves on. */
export interface Random {
  /** A real number in [0, 1), with 53 random bits. */
  readonly next: () => number
  /** A whole number from `low` to `high`, both included and each as likely. */
  readonly int: (low: number, high: number) => number
  /** A real number from `low` (included) to `high` (left out, unless it is `low`). */
  readonly real: (low: number, high: number) => number
  /** True with probability `p`. */
  readonly chance: (p: number) => boolean
  /** One element, each as likely. */
  readonly pick: <A>(of: readonly A[]) => A
  /** One element, each as likely as its weight says: weights from 0, not all 0. */
  readonly weighted: <A>(of: readonly A[], weights: readonly number[]) => A
  /** A copy in random order, each order as likely. */
  readonly shuffle: <A>(of: readonly A[]) => A[]
  /** A standard normal draw. */
  readonly normal: () => number
}

const refuse = (call: string, todo: string): never => {
  throw new RangeError(`random.${call}: ${todo}`)
}

/**
 * The stream that belongs to a seed and a path: the same arguments, the same numbers, on every machine. Streams of
 * different arguments have nothing to do with one another, so every part of every sample can have its own.
 *
 * @example
 * const draw = random(7, 'train', 12, 'colour')
 * draw.int(0, 9) // 0
 *
 * @throws RangeError for a number that is no safe integer; a draw throws it for a range or weights that make no sense
 */
export const random = (seed: Seed, ...path: readonly Seed[]): Random => {
  const key = keyOf(seed, ...path)
  const block = new Int32Array(4)
  let drawn = 0
  const signed = (): number => {
    const at = drawn % 4
    if (at === 0) wordsFrom(key, drawn / 4, block)
    drawn++
    return block[at]!
  }
  const word = (): number => signed() >>> 0
  const bits53 = (): number => (word() & 0x1fffff) * 2 ** 32 + word()
  const next = (): number => bits53() / 2 ** 53
  /** A whole number from 0 to `n` − 1: draws that would make some likelier are thrown away. */
  const below = (n: number): number => {
    const [draw, range] = n <= 2 ** 32 ? [word, 2 ** 32] : [bits53, 2 ** 53]
    const end = range - (range % n)
    for (;;) {
      const x = draw()
      if (x < end) return x % n
    }
  }
  const int = (low: number, high: number): number =>
    Number.isSafeInteger(low) && Number.isSafeInteger(high) && low <= high && high - low < 2 ** 53
      ? low + below(high - low + 1)
      : refuse('int', `[${low}, ${high}] is no range of whole numbers; give low ≤ high`)
  return {
    next,
    int,
    real: (low, high) => {
      if (!(Number.isFinite(high - low) && low <= high))
        return refuse('real', `[${low}, ${high}) is no range; give low ≤ high`)
      for (;;) {
        const x = low + next() * (high - low)
        // rounding may reach the end that is left out
        if (x < high || low === high) return x
      }
    },
    chance: (p) => (p >= 0 && p <= 1 ? next() < p : refuse('chance', `${p} is no probability from 0 to 1`)),
    pick: (of) =>
      of.length > 0
        ? of[below(of.length)]!
        : refuse('pick', 'there is nothing to pick from; give an element'),
    weighted: (of, weights) => {
      const total = weights.reduce((a, b) => a + b, 0)
      const good = weights.every((w) => w >= 0) && total > 0 && total < Infinity
      if (!good || weights.length !== of.length)
        return refuse(
          'weighted',
          `[${weights}] are no weights of ${of.length} elements; give one from 0 for each, not all 0`,
        )
      const point = next() * total
      let reached = 0
      const found = weights.findIndex((w) => {
        reached += w
        return point < reached
      })
      // rounding of the sum may put the point at its end
      return of[found < 0 ? weights.findLastIndex((w) => w > 0) : found]!
    },
    shuffle: (of) => {
      const out = of.slice()
      for (let i = out.length - 1; i > 0; i--) {
        const j = below(i + 1)
        const kept = out[i]!
        out[i] = out[j]!
        out[j] = kept
      }
      return out
    },
    normal: () => normalOf(signed()),
  }
}
