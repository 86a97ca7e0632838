/**
 * Model soup (Wortsman et al., arXiv:2203.05482): the average of the weights of runs of one architecture, uniform or
 * weighted, θ = Σ wᵢθᵢ / Σ wᵢ. SAIL-VL2 averages homogeneous runs after its basic SFT.
 *
 * A soup is a source of weights like those that it is made of: it is read key by key, and no more than one tensor and its
 * sum are held at a time.
 *
 * @since 0.1.0
 */
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import type { Dtype } from '../dsl/index.ts'

/** One tensor, row-major. */
export interface Weight {
  readonly shape: readonly number[]
  readonly dtype: Dtype
  readonly data: Float32Array | Int32Array | Uint8Array
}

/** Weights somewhere, by key, read one by one: what engines call a `WeightSource`. */
export interface Ingredient {
  readonly keys: readonly string[]
  readonly read: (key: string) => TE.TaskEither<Error, Weight>
}

/**
 * Why there is no soup. `BadWeights`: the weights are not finite, not one for each, or sum to nothing. `Different`: the
 * ingredients are not of one architecture; `key` is the first that differs.
 *
 * @category model
 */
export class SoupError extends Error {
  readonly tag: 'BadWeights' | 'Different'
  readonly key: string | undefined
  constructor(tag: 'BadWeights' | 'Different', what: string, todo: string, key?: string) {
    super(`soup: ${what}; ${todo}`)
    this.name = 'SoupError'
    this.tag = tag
    this.key = key
  }
}

/** The key of the state that holds a weight for a soup while it is made: of its start, or of where its n-th run ended. */
export const soupKey = (of: 'start' | number, key: string): string => `soup.${of}.${key}`
/** Whether a state belongs to a soup that is being made. */
export const isSoupKey = (key: string): boolean => key.startsWith('soup.')

const sameRuns = 'average checkpoints of one architecture'

/**
 * Weights that sum to 1: those given, divided by their sum; equal ones where none are given. They may be negative, and
 * then the soup lies beyond its ingredients.
 */
export const soupShares = (
  count: number,
  weights?: readonly number[],
): E.Either<SoupError, readonly number[]> => {
  const bad = (what: string, todo: string) => E.left(new SoupError('BadWeights', what, todo))
  if (count === 0) return bad('there is nothing to average', 'give one checkpoint at least')
  const all = weights ?? Array<number>(count).fill(1)
  if (all.length !== count)
    return bad(`there are ${count} checkpoints and ${all.length} weights`, 'give one for each')
  const wrong = all.findIndex((w) => typeof w !== 'number' || !Number.isFinite(w))
  if (wrong >= 0) return bad(`weight ${wrong} is ${all[wrong]}`, 'give finite numbers')
  const sum = all.reduce((a, b) => a + b, 0)
  const size = all.reduce((a, b) => a + Math.abs(b), 0)
  if (!Number.isFinite(sum) || Math.abs(sum) <= 1e-12 * size)
    return bad(`the weights ${all.join(', ')} sum to ${sum}`, 'give weights whose sum is not 0')
  return E.right(all.map((w) => w / sum))
}

/** The first key, in sorted order, that one has and another has not. */
export const sameKeys = (all: readonly (readonly string[])[]): E.Either<SoupError, readonly string[]> => {
  const [first, ...rest] = all.map((keys) => [...keys].sort())
  for (const [i, keys] of rest.entries()) {
    const at = Math.max(first!.length, keys.length)
    for (let k = 0; k < at; k++) {
      const [a, b] = [first![k], keys[k]]
      if (a === b) continue
      const own = b === undefined || (a !== undefined && a < b)
      const key = (own ? a : b)!
      const [has, lacks] = own ? [0, i + 1] : [i + 1, 0]
      return E.left(
        new SoupError(
          'Different',
          `checkpoint ${has} has '${key}' and checkpoint ${lacks} has not`,
          sameRuns,
          key,
        ),
      )
    }
  }
  return E.right(first ?? [])
}

/** An error where two tensors of one key are not alike. */
export const sameTensors = (
  key: string,
  i: number,
  first: { readonly shape: readonly number[]; readonly dtype: string },
  other: { readonly shape: readonly number[]; readonly dtype: string },
): E.Either<SoupError, void> => {
  const show = (x: typeof first): string => `${x.dtype} [${x.shape.join(', ')}]`
  return show(first) === show(other)
    ? E.right(undefined)
    : E.left(
        new SoupError(
          'Different',
          `'${key}' is ${show(first)} in checkpoint 0 and ${show(other)} in checkpoint ${i}`,
          sameRuns,
          key,
        ),
      )
}

/** Σ wᵢθᵢ of one key, summed in 64 bits and rounded once; what is no float must be equal everywhere. */
const average = (
  key: string,
  sources: readonly Ingredient[],
  shares: readonly number[],
): TE.TaskEither<Error, Weight> =>
  TE.tryCatch(
    async () => {
      const take = async (i: number): Promise<Weight> => orThrow(await sources[i]!.read(key)())
      const first = await take(0)
      const floats = first.data instanceof Float32Array
      const sum = floats ? Float64Array.from(first.data, (x) => x * shares[0]!) : undefined
      for (let i = 1; i < sources.length; i++) {
        const { shape, dtype, data } = await take(i)
        orThrow(sameTensors(key, i, first, { shape, dtype }))
        const w = shares[i]!
        if (sum !== undefined) for (let k = 0; k < sum.length; k++) sum[k] = sum[k]! + w * data[k]!
        else if (data.some((x, k) => x !== first.data[k]))
          throw new SoupError(
            'Different',
            `'${key}' is ${dtype} and differs between checkpoints`,
            sameRuns,
            key,
          )
      }
      return sum === undefined ? first : { ...first, data: Float32Array.from(sum) }
    },
    (e) => (e instanceof Error ? e : new Error(String(e))),
  )

const orThrow = <A>(result: E.Either<Error, A>): A => {
  if (E.isLeft(result)) throw result.left
  return result.right
}

/**
 * The average of these weights, itself a source of weights.
 *
 * @param weights one for each, normalised to sum 1; default equal
 * @returns SoupError at once where the weights or the keys do not fit, and from `read` where shapes or dtypes do not
 * @category soup
 */
export const soup = (
  sources: readonly Ingredient[],
  weights?: readonly number[],
): E.Either<SoupError, Ingredient> =>
  pipe(
    soupShares(sources.length, weights),
    E.chain((shares) =>
      pipe(
        sameKeys(sources.map((s) => s.keys)),
        E.map((keys) => ({ keys, read: (key: string) => average(key, sources, shares) })),
      ),
    ),
  )
