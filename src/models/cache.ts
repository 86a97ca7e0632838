/** The key-value cache as states of a graph, and what the functions over it share. */
import {
  type Axis,
  axis,
  GraphError,
  input,
  Key,
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

/** A layer's new keys or values as the cache keeps them: `[batch, …, key, headDim]`, so that each head's lie together. */
export const stored = (t: Tensor): Tensor => {
  const [last] = t.axes.slice(-1)
  const others = t.names.filter((n) => n !== Key && n !== last!.name)
  return transpose(t, [...others, Key, last!.name])
}

/** One side of one layer's cache, for new elements of these axes: in place of their first axis `rows`, of `key` `slots`. */
export const cacheOf = (
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
