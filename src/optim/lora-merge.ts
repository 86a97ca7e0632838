/**
 * Adapters put into the weights that they adapt, and taken out again. Arithmetic over arrays: no graph, no file.
 *
 * @since 0.1.0
 */
import { adaptedWeight, LoraError, loraKeys, loraKeysOf } from './lora.ts'

/** A float32 tensor, row-major. */
export interface Floats {
  readonly shape: readonly number[]
  readonly data: Float32Array
}

/** The weights that these adapters' keys adapt, each with its pair. @throws LoraError where half of a pair is missing */
export const loraPairs = (
  keys: Iterable<string>,
): ReadonlyMap<string, { readonly a: string; readonly b: string; readonly use: 'product' | 'embedding' }> => {
  const all = new Set([...keys].filter(loraKeys.has))
  const pairs = new Map<string, { a: string; b: string; use: 'product' | 'embedding' }>()
  for (const key of all) {
    const use = key.includes('.lora_embedding_') ? ('embedding' as const) : ('product' as const)
    const weight = adaptedWeight(key)
    const pair = loraKeysOf(weight, use)
    for (const half of [pair.a, pair.b])
      if (!all.has(half)) throw new LoraError('adapters', `there is '${key}' and no '${half}'`, 'give both')
    pairs.set(weight, { ...pair, use })
  }
  return pairs
}

const shapesFit = (w: Floats, a: Floats, b: Floats, use: 'product' | 'embedding'): boolean => {
  const [out, inner] = w.shape
  const [r] = a.shape
  const [wantA, wantB] =
    use === 'product'
      ? [
          [r, inner],
          [out, r],
        ]
      : [
          [r, out],
          [inner, r],
        ]
  const same = (x: readonly (number | undefined)[], y: readonly number[]): boolean =>
    x.length === y.length && x.every((n, i) => n === y[i])
  return w.shape.length === 2 && same(wantA!, a.shape) && same(wantB!, b.shape)
}

/** W ± α/r · B A, summed in 64 bits and rounded once. */
const moved = (
  key: string,
  w: Floats,
  a: Floats,
  b: Floats,
  use: 'product' | 'embedding',
  alpha: number,
  sign: 1 | -1,
): Floats => {
  if (!shapesFit(w, a, b, use))
    throw new LoraError(
      'adapters',
      `'${key}' is [${w.shape}], its adapters are [${a.shape}] and [${b.shape}]`,
      'give the adapters of this model',
    )
  const [out, inner] = w.shape as readonly [number, number]
  const r = a.shape[0]!
  const scale = (sign * alpha) / r
  const data = new Float32Array(w.data.length)
  for (let o = 0; o < out; o++)
    for (let i = 0; i < inner; i++) {
      let sum = 0
      for (let k = 0; k < r; k++)
        sum +=
          use === 'product'
            ? b.data[o * r + k]! * a.data[k * inner + i]!
            : a.data[k * out + o]! * b.data[i * r + k]!
      data[o * inner + i] = w.data[o * inner + i]! + scale * sum
    }
  return { shape: w.shape, data }
}

const all =
  (sign: 1 | -1) =>
  <W extends Floats>(
    weights: ReadonlyMap<string, W>,
    adapters: ReadonlyMap<string, Floats>,
    alpha: number,
  ): ReadonlyMap<string, W> => {
    const next = new Map(weights)
    for (const [key, { a, b, use }] of loraPairs(adapters.keys())) {
      const w = weights.get(key)
      if (w === undefined)
        throw new LoraError(
          'adapters',
          `they adapt '${key}', which is no weight of the model`,
          'give the adapters of this model',
        )
      next.set(key, { ...w, ...moved(key, w, adapters.get(a)!, adapters.get(b)!, use, alpha, sign) })
    }
    return next
  }

/**
 * The weights with W + α/r · B A for each W that is adapted; the others as they are. The merged model computes what the
 * adapted one does, up to rounding.
 *
 * @throws LoraError where a weight or half of a pair is missing, or shapes do not fit
 * @category merging
 */
export const mergeLora = all(1)

/**
 * The weights that {@link mergeLora} started from, up to the rounding of merging.
 *
 * @throws LoraError as {@link mergeLora}
 * @category merging
 */
export const unmergeLora = all(-1)
