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
  applyTo,
  at,
  axis,
  equal,
  GraphError,
  input,
  iota,
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
import { causal, Key } from '../dsl/layers/attention.ts'
import { qwen3Decoder, qwen3Embedding, qwen3Head } from './qwen3.ts'
import { vitAxes } from './sail-vit.ts'
import { interleave, type SailVl2Config, see } from './sail-vl2.ts'

/** Sizes of a generation: rows at once, places of a prompt, and capacity: places of prompt and answer together. */
export interface GenerationSizes {
  readonly rows: number
  readonly prompt: number
  readonly capacity: number
}

const whole = (n: number): boolean => Number.isSafeInteger(n) && n >= 1

const check = ({ rows, prompt, capacity }: GenerationSizes, site: Site): void => {
  for (const [name, n] of Object.entries({ rows, prompt, capacity }))
    if (!whole(n))
      throw new GraphError('BadArgument', `generation: ${name} is ${n}; give a whole number from 1 on`, site)
  if (capacity < prompt)
    throw new GraphError(
      'BadArgument',
      `generation: capacity ${capacity} is less than prompt ${prompt}; the cache holds prompt and answer together, so make capacity the sum of both`,
      site,
    )
}

/** Whether a state belongs to the cache and not to the model. */
export const isCacheKey = (key: string): boolean => key.startsWith('cache.')

const cacheOf = (path: string, side: 'key' | 'value', like: Tensor, capacity: Axis): Tensor =>
  state(
    `cache.${path}.${side}`,
    like.axes.map((a) => (a.name === Key ? capacity : a)),
    zeros,
  )

/** The residual stream at one position of each row: `[batch, token, embed]` at `place` `[batch]` → `[batch, embed]`. */
const rowAt = (hidden: Tensor, place: Tensor, token: Axis): Tensor =>
  sum(select(equal(place, iota(token)), hidden, 0), 'token')

/**
 * Reads a prompt with one picture a row and fills the cache.
 *
 * Inputs: `input_ids`, `position_ids`, `visual_index` int32 `[batch, token]`, `pixel_values` `[tile, channel, height,
 * width]`, `last` int32 `[batch]` (the place of the prompt's last token). Output: `logits` `[batch, vocab]` of the next.
 *
 * @throws GraphError where the capacity is less than the prompt, or a size is no whole number from 1 on
 * @category generation
 */
export const prefill = (c: SailVl2Config, s: GenerationSizes): Results => {
  check(s, siteOf(prefill))
  const batch = axis('batch', s.rows)
  const token = axis('token', s.prompt)
  const capacity = axis(Key, s.capacity)
  const { channel, height, width } = vitAxes(c.vision)
  const ids = input('input_ids', [batch, token], 'int32')
  const positions = input('position_ids', [batch, token], 'int32')
  const visualIndex = input('visual_index', [batch, token], 'int32')
  const pictures = input('pixel_values', [axis('tile', s.rows), channel, height, width])
  const last = input('last', [batch], 'int32')
  const next = new Map<string, Tensor>()
  const cache: KeyValues = (path, keys, values) => {
    for (const [side, t] of [['key', keys] as const, ['value', values] as const]) {
      const whole = cacheOf(path, side, t, capacity)
      next.set((whole.op as { key: string }).key, pad(t, Key, 0, s.capacity - s.prompt))
    }
    return [keys, values]
  }
  const hidden = applyTo(
    at('language_model')(qwen3Decoder(c.language, { token, positions, mask: causal(token), cache })),
    interleave(c, see(c, pictures), ids, visualIndex),
  )
  const logits = applyTo(at('language_model')(qwen3Head(c.language)), rowAt(hidden, last, token))
  return { outputs: { logits }, next }
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
export const decode = (c: SailVl2Config, s: GenerationSizes): Results => {
  check(s, siteOf(decode))
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
  const text = applyTo(qwen3Embedding(c.language), reshape(ids, [batch, token]), 'language_model')
  const hidden = applyTo(
    at('language_model')(
      qwen3Decoder(c.language, {
        token,
        positions: reshape(position, [batch, token]),
        mask: lessEqual(slots, position),
        cache,
      }),
    ),
    text,
  )
  const logits = applyTo(
    at('language_model')(qwen3Head(c.language)),
    reshape(hidden, [batch, hidden.axes[2]!]),
  )
  return { outputs: { logits }, next }
}
