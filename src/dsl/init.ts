/**
 * Initialisers as plain data: what a fresh weight is filled with. The numbers come from the seed and the weight's key
 * alone, so that neither the order of building nor other weights change them.
 */

/** How to fill a state. */
export type Init =
  | { readonly kind: 'zeros' }
  | { readonly kind: 'ones' }
  | { readonly kind: 'constant'; readonly value: number }
  /** Normal with mean 0. */
  | { readonly kind: 'normal'; readonly std: number }
  /** Normal with mean 0, cut at two standard deviations. */
  | { readonly kind: 'truncatedNormal'; readonly std: number }
  /** Uniform in ±limit. */
  | { readonly kind: 'uniform'; readonly limit: number }
  /**
   * Uniform in ±limit, then each run of `row` elements brought to mean 0, but for every `keep`-th run: filters that see
   * strokes before they see the mean colour.
   */
  | { readonly kind: 'centred'; readonly limit: number; readonly row: number; readonly keep: number }

/** All zeros. */
export const zeros: Init = { kind: 'zeros' }
/** All ones. */
export const ones: Init = { kind: 'ones' }
/** Every element `value`. */
export const filled = (value: number): Init => ({ kind: 'constant', value })
/** Normal with mean 0 and this standard deviation. */
export const normal = (std: number): Init => ({ kind: 'normal', std })
/** Normal with mean 0, cut at two standard deviations. */
export const truncatedNormal = (std: number): Init => ({ kind: 'truncatedNormal', std })
/** Uniform in ±limit. */
export const uniform = (limit: number): Init => ({ kind: 'uniform', limit })
/** Uniform filters of `row` elements, all but every `keep`-th of mean 0. */
export const centred = (limit: number, row: number, keep: number): Init => ({
  kind: 'centred',
  limit,
  row,
  keep,
})
/** Xavier (Glorot) uniform for a weight with this many inputs and outputs. */
export const xavierUniform = (fanIn: number, fanOut: number): Init => uniform(Math.sqrt(6 / (fanIn + fanOut)))

/** FNV-1a over the seed and the key, then mixed: the start of a generator that belongs to this key alone. */
const keyed = (seed: number, key: string): number => {
  let h = 0x811c9dc5 ^ seed
  for (let i = 0; i < key.length; i++) h = Math.imul(h ^ key.charCodeAt(i), 0x01000193)
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

/** splitmix32: uniform in [0, 1). */
const generator = (start: number): (() => number) => {
  let a = start
  return () => {
    a = (a + 0x9e3779b9) | 0
    let t = a ^ (a >>> 16)
    t = Math.imul(t, 0x21f0aaad)
    t ^= t >>> 15
    t = Math.imul(t, 0x735a2d97)
    return ((t ^ (t >>> 15)) >>> 0) / 4294967296
  }
}

const gauss = (next: () => number): number => {
  const u = 1 - next()
  return Math.sqrt(-2 * Math.log(u)) * Math.cos(2 * Math.PI * next())
}

/**
 * Fills `size` float32 elements.
 *
 * @param seed the run's seed
 * @param key the state's key; with the seed it determines every number
 */
export const fill = (init: Init, size: number, seed: number, key: string): Float32Array => {
  const out = new Float32Array(size)
  switch (init.kind) {
    case 'zeros':
      return out
    case 'ones':
      return out.fill(1)
    case 'constant':
      return out.fill(init.value)
    case 'uniform': {
      const next = generator(keyed(seed, key))
      for (let i = 0; i < size; i++) out[i] = (2 * next() - 1) * init.limit
      return out
    }
    case 'centred': {
      const drawn = fill(uniform(init.limit), size, seed, key)
      for (let start = 0, run = 0; start < size; start += init.row, run++) {
        if (run % init.keep === init.keep - 1) continue
        const row = drawn.subarray(start, start + init.row)
        const mean = row.reduce((a, b) => a + b, 0) / row.length
        for (let i = 0; i < row.length; i++) row[i] = row[i]! - mean
      }
      return drawn
    }
    case 'normal': {
      const next = generator(keyed(seed, key))
      for (let i = 0; i < size; i++) out[i] = gauss(next) * init.std
      return out
    }
    case 'truncatedNormal': {
      const next = generator(keyed(seed, key))
      for (let i = 0; i < size; i++) {
        let z = gauss(next)
        while (Math.abs(z) > 2) z = gauss(next)
        out[i] = z * init.std
      }
      return out
    }
  }
}
