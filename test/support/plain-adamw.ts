/** AdamW and clipping in plain float64 arithmetic, written from the papers and not from the code that is tested. */

/** What a parameter and its moments are. */
export interface Moments {
  readonly p: Float64Array
  readonly m: Float64Array
  readonly v: Float64Array
}

/** Parameters with their moments by key. */
export type PlainState = ReadonlyMap<string, Moments>

/** Settings of one update. */
export interface PlainSettings {
  readonly rate: number
  /** Largest global norm of the gradients; none where it is undefined. */
  readonly clip?: number | undefined
  readonly beta1: number
  readonly beta2: number
  readonly epsilon: number
  /** Weight decay, and the factor on the rate, of each parameter. */
  readonly decay: (key: string) => number
  readonly factor: (key: string) => number
}

/** Parameters before the first update. */
export const plainStart = (parameters: Iterable<readonly [string, ArrayLike<number>]>): PlainState =>
  new Map(
    [...parameters].map(([key, p]) => [
      key,
      { p: Float64Array.from(p), m: new Float64Array(p.length), v: new Float64Array(p.length) },
    ]),
  )

/** The norm of all gradients together. */
export const plainNorm = (gradients: ReadonlyMap<string, ArrayLike<number>>): number => {
  let sum = 0
  for (const g of gradients.values()) for (const x of Array.from(g)) sum += x * x
  return Math.sqrt(sum)
}

/** Update number t, counted from 1. */
export const plainStep = (
  t: number,
  state: PlainState,
  gradients: ReadonlyMap<string, ArrayLike<number>>,
  s: PlainSettings,
): PlainState => {
  const norm = plainNorm(gradients)
  const shrink = s.clip !== undefined && norm > s.clip ? s.clip / norm : 1
  return new Map(
    [...state].map(([key, { p, m, v }]) => {
      const g = Float64Array.from(gradients.get(key)!, (x) => x * shrink)
      const rate = s.rate * s.factor(key)
      const m1 = m.map((x, i) => s.beta1 * x + (1 - s.beta1) * g[i]!)
      const v1 = v.map((x, i) => s.beta2 * x + (1 - s.beta2) * g[i]! ** 2)
      const p1 = p.map((x, i) => {
        const mean = m1[i]! / (1 - s.beta1 ** t)
        const square = v1[i]! / (1 - s.beta2 ** t)
        return x - rate * s.decay(key) * x - (rate * mean) / (Math.sqrt(square) + s.epsilon)
      })
      return [key, { p: p1, m: m1, v: v1 }]
    }),
  )
}
