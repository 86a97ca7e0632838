/**
 * Initialisers as plain data: what a fresh weight is filled with. The numbers come from the seed and the weight's key
 * alone, so that neither the order of building nor other weights change them.
 */

import { fillNormal, fillTruncatedNormal, fillUniform, keyOf, type Seed } from '../random/index.ts'
import { kindOf, shownValue } from '../settings/index.ts'

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

/** The numbers that an initialiser has, by its kind. */
const numbersOf: Readonly<Record<Init['kind'], readonly string[]>> = {
  ...{ zeros: [], ones: [], constant: ['value'], normal: ['std'], truncatedNormal: ['std'] },
  ...{ uniform: ['limit'], centred: ['limit', 'row', 'keep'] },
}

/** What is wrong with an initialiser, in words: one of another kind would fill with zeros. */
export const wrongInit = (init: Init): string | undefined => {
  const given = (init ?? {}) as Readonly<Record<string, unknown>>
  const kinds = Object.keys(numbersOf)
  if (typeof given.kind !== 'string' || !Object.hasOwn(numbersOf, given.kind))
    return `its init is ${init instanceof Object ? `of kind ${shownValue(given.kind)}` : kindOf(init)}; give one of the kinds ${kinds.join(', ')}, such as normal(0.02)`
  const odd = numbersOf[given.kind as Init['kind']].find((name) => !Number.isFinite(given[name]))
  return odd === undefined
    ? undefined
    : `its init ${given.kind} has ${odd} ${shownValue(given[odd])}; give a finite number`
}

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

/**
 * Fills `size` float32 elements. Element `i` of a state is a function of the seed, the key and `i` alone (`centred`: of its
 * whole run), so any slice of it can be drawn by itself, in any order, on any machine, bit for bit.
 *
 * @param seed the run's seed: a text or a safe integer
 * @param key the state's key; with the seed it determines every number
 * @param from the state's element that comes first; default 0
 * @throws RangeError for a seed that is NaN, a fraction, or no safe integer
 */
export const fill = (init: Init, size: number, seed: Seed, key: string, from = 0): Float32Array => {
  const stream = keyOf(seed, key)
  const out = new Float32Array(size)
  switch (init.kind) {
    case 'zeros':
      break
    case 'ones':
      out.fill(1)
      break
    case 'constant':
      out.fill(init.value)
      break
    case 'uniform':
      fillUniform(out, init.limit, stream, from)
      break
    case 'normal':
      fillNormal(out, init.std, stream, from)
      break
    case 'truncatedNormal':
      fillTruncatedNormal(out, init.std, stream, from)
      break
    case 'centred': {
      const { limit, row, keep } = init
      const before = from % row
      const runs = new Float32Array(Math.ceil((before + size) / row) * row)
      fillUniform(runs, limit, stream, from - before)
      for (let start = 0, run = (from - before) / row; start < runs.length; start += row, run++)
        if (run % keep !== keep - 1) centre(runs.subarray(start, start + row))
      return runs.slice(before, before + size)
    }
  }
  return out
}

const centre = (run: Float32Array): void => {
  const mean = run.reduce((a, b) => a + b, 0) / run.length
  for (let i = 0; i < run.length; i++) run[i] = run[i]! - mean
}
