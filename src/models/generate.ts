/**
 * Generation as graph: a prompt fills the key-value cache, then each call adds one token. The cache is state of the
 * session; the host chooses the tokens.
 *
 * Prompts are padded on the right. A row's slot in the cache is the token's position, so the next token overwrites what
 * padding left there, and nothing beyond a row's own position is ever attended to.
 *
 * @since 0.1.0
 */
import {
  type Axis,
  axis,
  causal,
  equal,
  GraphError,
  input,
  iota,
  Key,
  type KeyValues,
  lessEqual,
  pad,
  type Results,
  reshape,
  type Site,
  select,
  siteOf,
  state,
  sum,
  type Tensor,
  zeros,
} from '../dsl/index.ts'
import type { CausalLm, ImageInputs } from './model.ts'

/** Sizes of a generation: rows at once, prompt length, images, and the cache's capacity for prompt and answer together. */
export interface GenerationSizes {
  readonly rows: number
  readonly prompt: number
  readonly capacity: number
  /** Images of all rows together; 0 for text alone. Default: one a row where the model reads images, else 0. */
  readonly images?: number
}

/** The images of a generation, where its sizes do not say. */
export const imagesOf = (model: CausalLm, s: GenerationSizes): number =>
  s.images ?? (model.image === undefined ? 0 : s.rows)

/** Whether a state belongs to the cache and not to the model. */
export const isCacheKey = (key: string): boolean => key.startsWith('cache.')

const checkedSizes = (model: CausalLm, s: GenerationSizes, site: Site): void => {
  const images = imagesOf(model, s)
  const wrong = (what: string): GraphError => new GraphError('BadArgument', `generation: ${what}`, site)
  for (const [name, n, least] of [
    ['rows', s.rows, 1],
    ['prompt', s.prompt, 1],
    ['capacity', s.capacity, 1],
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

const cacheOf = (path: string, side: 'key' | 'value', like: Tensor, slots: Axis): Tensor =>
  state(
    `cache.${path}.${side}`,
    like.axes.map((a) => (a.name === Key ? slots : a)),
    zeros,
  )

/** The residual stream at one position of each row: `[batch, token, embed]` at `place` `[batch]` → `[batch, embed]`. */
const rowAt = (hidden: Tensor, place: Tensor, token: Axis): Tensor =>
  sum(select(equal(place, iota(token)), hidden, 0), 'token')

/** The images of a batch as inputs: `pixel_values` float32 `[tile, channel, height, width]`, `visual_index` int32 `[batch, token]`. */
export const imageInputs = (model: CausalLm, images: number, batch: Axis, token: Axis): ImageInputs => {
  const size = model.image?.size ?? 0
  return {
    pixels: input('pixel_values', [
      axis('tile', images),
      axis('channel', 3),
      axis('height', size),
      axis('width', size),
    ]),
    visualIndex: input('visual_index', [batch, token], 'int32'),
  }
}

/**
 * Reads prompts and fills the cache.
 *
 * Inputs: `input_ids`, `position_ids` int32 `[batch, token]`, `last` int32 `[batch]` (the place of the prompt's last token),
 * and with images those of {@link imageInputs}. Output: `logits` `[batch, vocab]` of the next token.
 *
 * @throws GraphError where a size is no whole number, the capacity is less than the prompt, or there are images for a model
 *   that reads text alone
 * @category generation
 */
export const prefill = (model: CausalLm, s: GenerationSizes): Results => {
  checkedSizes(model, s, siteOf(prefill))
  const batch = axis('batch', s.rows)
  const token = axis('token', s.prompt)
  const slots = axis(Key, s.capacity)
  const ids = input('input_ids', [batch, token], 'int32')
  const positions = input('position_ids', [batch, token], 'int32')
  const images = imagesOf(model, s)
  const last = input('last', [batch], 'int32')
  const next = new Map<string, Tensor>()
  const cache: KeyValues = (path, keys, values) => {
    for (const [side, t] of [['key', keys] as const, ['value', values] as const]) {
      const whole = cacheOf(path, side, t, slots)
      next.set((whole.op as { key: string }).key, pad(t, Key, 0, s.capacity - s.prompt))
    }
    return [keys, values]
  }
  const embedded = model.embed(ids, images === 0 ? undefined : imageInputs(model, images, batch, token))
  const hidden = model.decode(embedded, { token, positions, mask: causal(token), cache })
  return { outputs: { logits: model.head(rowAt(hidden, last, token)) }, next }
}

/**
 * Adds one token a row.
 *
 * Inputs: `input_ids` and `position` int32 `[batch]` (the token and its place). Output: `logits` `[batch, vocab]` of the
 * next.
 *
 * @throws GraphError as {@link prefill}
 * @category generation
 */
export const decode = (model: CausalLm, s: GenerationSizes): Results => {
  checkedSizes(model, s, siteOf(decode))
  const batch = axis('batch', s.rows)
  const token = axis('token', 1)
  const capacity = axis(Key, s.capacity)
  const ids = input('input_ids', [batch], 'int32')
  const position = input('position', [batch], 'int32')
  const slots = iota(capacity)
  const here = equal(position, slots)
  const next = new Map<string, Tensor>()
  const written = (path: string, side: 'key' | 'value', t: Tensor): Tensor => {
    const old = cacheOf(path, side, t, capacity)
    const one = reshape(
      t,
      t.axes.filter((a) => a.name !== Key),
    )
    const full = select(here, one, old)
    next.set((old.op as { key: string }).key, full)
    return full
  }
  const cache: KeyValues = (path, keys, values) => [
    written(path, 'key', keys),
    written(path, 'value', values),
  ]
  const hidden = model.decode(model.embed(reshape(ids, [batch, token])), {
    token,
    positions: reshape(position, [batch, token]),
    mask: lessEqual(slots, position),
    cache,
  })
  return { outputs: { logits: model.head(reshape(hidden, [batch, hidden.axes[2]!])) }, next }
}
