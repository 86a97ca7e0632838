/**
 * Random numbers with explicit seeds: a generator is made from a seed and a path of names and numbers, so that every
 * part of every sample has its own stream and no draw depends on another sample's.
 *
 * The generator is sfc32 (a small fast chaotic generator with 128 bits of state, one of them a counter); its state is
 * filled by a multiply-xor hash of the seed and the path.
 *
 * @since 0.1.0
 */

/** What a seed or a step of a path may be. */
export type SeedPart = string | number

/** A stream of random draws. It is stateful: each call moves on. */
export interface Random {
  /** A real number in [0, 1), with 32 random bits. */
  readonly next: () => number
  /** A whole number from `low` to `high`, both included. */
  readonly int: (low: number, high: number) => number
  /** A real number from `low` (included) to `high` (left out). */
  readonly real: (low: number, high: number) => number
  /** True with probability `p`. */
  readonly chance: (p: number) => boolean
  /** One element, each as likely. */
  readonly pick: <A>(of: readonly A[]) => A
  /** A copy in random order. */
  readonly shuffle: <A>(of: readonly A[]) => A[]
  /** A standard normal draw (Box-Muller). */
  readonly normal: () => number
}

const mix = (h: number): number => {
  let x = h | 0
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d)
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b)
  return (x ^ (x >>> 16)) | 0
}

const spelled = (parts: readonly SeedPart[]): string =>
  parts.map((part) => (typeof part === 'number' ? `#${part}` : `$${part.length}:${part}`)).join('/')

/** Hashes text to 32 bits, differently for each `salt`. The same on every machine. */
export const hash32 = (text: string, salt = 0): number => {
  let h = mix(salt ^ 0x9e3779b9)
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193) ^ (h >>> 13)
  return mix(h ^ text.length) >>> 0
}

/**
 * The stream that belongs to a seed and a path: the same arguments, the same numbers.
 *
 * @example
 * const draw = random(7, 'train', 12, 'colour')
 * draw.int(0, 9) // 6
 */
export const random = (seed: SeedPart, ...path: readonly SeedPart[]): Random => {
  const text = spelled([seed, ...path])
  let a = hash32(text, 1) | 0
  let b = hash32(text, 2) | 0
  let c = hash32(text, 3) | 0
  let counter = 1
  const word = (): number => {
    const t = (((a + b) | 0) + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (c << 21) | (c >>> 11)
    c = (c + t) | 0
    return t >>> 0
  }
  for (let i = 0; i < 12; i++) word()
  const next = () => word() / 4294967296
  const int = (low: number, high: number) => low + Math.floor(next() * (high - low + 1))
  return {
    next,
    int,
    real: (low, high) => low + next() * (high - low),
    chance: (p) => next() < p,
    pick: (of) => {
      if (of.length === 0) throw new RangeError('random.pick: there is nothing to pick from')
      return of[int(0, of.length - 1)]!
    },
    shuffle: (of) => {
      const out = of.slice()
      for (let i = out.length - 1; i > 0; i--) {
        const j = int(0, i)
        const kept = out[i]!
        out[i] = out[j]!
        out[j] = kept
      }
      return out
    },
    normal: () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()),
  }
}
