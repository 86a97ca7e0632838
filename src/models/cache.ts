/** The key-value cache as states of a graph, and what the functions over it share. */
import {
  type Axis,
  axis,
  GraphError,
  input,
  Key,
  type KeyValues,
  reshape,
  type Site,
  state,
  type Tensor,
  transpose,
  zeros,
} from '../dsl/index.ts'
import type { DrawInputs, Penalty } from './draw-token.ts'
import type { Filters } from './filter-tokens.ts'
import { type GenerationSizes, imagesOf } from './generation-sizes.ts'
import type { CausalLm } from './model.ts'

/** Checks the sizes of a generation. */
export const checkedSizes = (model: CausalLm, s: GenerationSizes, site: Site): void => {
  const images = imagesOf(model, s)
  const wrong = (what: string): GraphError => new GraphError('BadArgument', `generation: ${what}`, site)
  for (const [name, n, least] of [
    ['rows', s.rows, 1],
    ['prompt', s.prompt, 1],
    ['capacity', s.capacity, 1],
    ['prompts', s.prompts ?? s.rows, 1],
    ['images', images, 0],
  ] as const)
    if (!Number.isSafeInteger(n) || n < least)
      throw wrong(`${name} is ${n}; give a whole number from ${least} on`)
  if (s.capacity < s.prompt)
    throw wrong(
      `capacity ${s.capacity} is less than prompt ${s.prompt}; the cache holds prompt and answer together, so make capacity the sum of both`,
    )
  if (model.image === undefined && images > 0)
    throw wrong(`images is ${images}, and model '${model.name}' reads text alone; give 0`)
}

/** Checks how many tokens a call adds. */
export const checkedSteps = (steps: number, site: Site): void => {
  if (!Number.isSafeInteger(steps) || steps < 1)
    throw new GraphError('BadArgument', `generation: steps is ${steps}; give a whole number from 1 on`, site)
}

/** A layer's new keys or values as the cache keeps them: `[batch, …, key, headDim]`, so that each head's lie together. */
const stored = (t: Tensor): Tensor => {
  const [last] = t.axes.slice(-1)
  const others = t.names.filter((n) => n !== Key && n !== last!.name)
  return transpose(t, [...others, Key, last!.name])
}

/** One side of one layer's cache, for new elements of these axes: in place of their first axis `rows`, of `key` `slots`. */
const cacheOf = (
  { name }: GenerationSizes,
  path: string,
  side: 'key' | 'value',
  like: Tensor,
  rows: Axis,
  slots: Axis,
): { readonly key: string; readonly whole: Tensor } => {
  const key = ['cache', ...(name === undefined ? [] : [name]), path, side].join('.')
  const axes = like.axes.map((a, i) => (i === 0 ? rows : a.name === Key ? slots : a))
  return { key, whole: state(key, axes, zeros) }
}

/** A tensor without an axis of one place. */
export const without = (t: Tensor, name: string): Tensor =>
  reshape(
    t,
    t.axes.filter((a) => a.name !== name),
  )

/** What a layer adds to each side of its cache: its state's key, the new elements, and the state as it is. */
export interface CacheSide {
  readonly key: string
  readonly own: Tensor
  readonly whole: Tensor
}

/** New keys and values of a layer, each beside its side of the cache. */
export const sidesOf = (
  s: GenerationSizes,
  path: string,
  keys: Tensor,
  values: Tensor,
  rows: Axis,
  slots: Axis,
): readonly [CacheSide, CacheSide] => {
  const side = (name: 'key' | 'value', t: Tensor): CacheSide => {
    const own = stored(t)
    return { own, ...cacheOf(s, path, name, own, rows, slots) }
  }
  return [side('key', keys), side('value', values)]
}

/**
 * A cache for one pass of a model: a layer that the model applies several times, as one with shared weights, has a place
 * for each time.
 */
export const eachTime = (cache: KeyValues): KeyValues => {
  const times = new Map<string, number>()
  return (path, keys, values) => {
    const earlier = times.get(path) ?? 0
    times.set(path, earlier + 1)
    return cache(earlier === 0 ? path : `${path}.time${earlier}`, keys, values)
  }
}

/** The logits of one token a row, from its residual stream `[batch, 1, embed]`. */
export const headOf = (model: CausalLm, hidden: Tensor): Tensor => model.head(without(hidden, 'token'))

/** How tokens are drawn, as inputs: alike in all rows, or by each row's own along `batch`. */
export const drawInputs = (model: CausalLm, ...batch: readonly Axis[]): Omit<DrawInputs, 'uniform'> => ({
  scale: input('scale', batch),
  greedy: input('greedy', batch, 'bool'),
  bias: input('bias', [axis('vocab', model.vocabSize)]),
})

/** What each row leaves of its tokens, and what makes those less likely that it has, as inputs. */
export const filterInputs = (
  model: Pick<CausalLm, 'vocabSize'>,
  batch: Axis,
): { readonly filters: Filters; readonly penalty: Penalty } => ({
  filters: {
    topK: input('top_k', [batch], 'int32'),
    topP: input('top_p', [batch]),
    minP: input('min_p', [batch]),
  },
  penalty: {
    seen: input('seen', [batch, axis('vocab', model.vocabSize)], 'bool'),
    by: input('penalty', [batch]),
  },
})
