/**
 * Generation as graph: prompts fill rows of the key-value cache, then each call adds one token a row. The cache is state
 * of the session.
 *
 * Prompts are padded on the right. A token's slot in its row of the cache is its position, so the next token overwrites
 * what padding left there, and nothing beyond a row's own position is ever attended to.
 *
 * @since 0.1.0
 */
import {
  type Axis,
  add,
  axis,
  broadcast,
  causal,
  concat,
  constant,
  equal,
  gather,
  greaterEqual,
  input,
  iota,
  Key,
  less,
  maximum,
  pad,
  type Results,
  reshape,
  select,
  siteOf,
  slice,
  sum,
  type Tensor,
  transpose,
} from '../dsl/index.ts'
import { onlySettings } from '../settings/index.ts'
import { placesInput } from './any-resolution.ts'
import {
  type CacheSide,
  checkedSizes,
  checkedSteps,
  drawInputs,
  eachTime,
  filterInputs,
  headOf,
  sidesOf,
  without,
} from './cache.ts'
import { alsoSeen, type DrawInputs, drawToken } from './draw-token.ts'
import { type GenerationSizes, imagesOf } from './generation-sizes.ts'
import { type CausalLm, type ImageInputs, positionsOfKeys } from './model.ts'

/** The residual stream at one position of each row: `[batch, token, embed]` at `place` `[batch]` → `[batch, embed]`. */
const rowAt = (hidden: Tensor, place: Tensor, token: Axis): Tensor =>
  sum(select(equal(place, iota(token)), hidden, 0), 'token')

/**
 * The images of a batch as inputs: `visual_index` int32 `[batch, token]`, and `pixel_values` float32 `[tile, channel, height,
 * width]`; of a model of any resolution `[patch, channel, height, width]`, and `patch_places` int32 `[patch, place]`.
 *
 * @param images tiles, or squares of patches
 */
export const imageInputs = (model: CausalLm, images: number, batch: Axis, token: Axis): ImageInputs => {
  const { size, patchSize } = model.image ?? { size: 0 }
  const side = patchSize ?? size
  const each =
    patchSize === undefined ? axis('tile', images) : axis('patch', images * (size / patchSize) ** 2)
  const plane = [axis('channel', 3), axis('height', side), axis('width', side)] as const
  return {
    pixels: input('pixel_values', [each, ...plane]),
    places: patchSize === undefined ? undefined : placesInput(each),
    visualIndex: input('visual_index', [batch, token], 'int32'),
  }
}

/**
 * Reads prompts and puts their keys and values into rows of the cache; the other rows stay as they are.
 *
 * Inputs: `input_ids`, `position_ids` int32 `[batch, token]`, `last` int32 `[batch]` (the place of a prompt's last token),
 * `source` int32 `[row]` (for each row of the cache the prompt that it takes, −1 for none), and with images those of
 * {@link imageInputs}. Output: `logits` `[batch, vocab]` of the next token. {@link fillCache} leaves it out.
 *
 * @throws GraphError where a size is no whole number, the capacity is less than the prompt, or there are images for a model
 *   that reads text alone
 * @category generation
 */
export const prefill = (model: CausalLm, s: GenerationSizes): Results => {
  checkedSizes(model, s, siteOf(prefill))
  const { hidden, last, token, next } = filled(model, s)
  return { outputs: { logits: model.head(rowAt(hidden, last, token)) }, next }
}

/**
 * {@link prefill} without its output: what lies behind the keys and values of the last layer is not computed. The next
 * token comes with those after it, from a call that reads the prompt's last token again. Input `last` is not there.
 *
 * @throws GraphError as {@link prefill}
 * @category generation
 */
export const fillCache = (model: CausalLm, s: GenerationSizes): Results => {
  checkedSizes(model, s, siteOf(fillCache))
  return { outputs: {}, next: filled(model, s).next }
}

/** The residual stream over the prompts, and the cache that holds them. */
const filled = (model: CausalLm, s: GenerationSizes) => {
  const batch = axis('batch', s.prompts ?? s.rows)
  const row = axis('row', s.rows)
  const token = axis('token', s.prompt)
  const slots = axis(Key, s.capacity)
  const ids = input('input_ids', [batch, token], 'int32')
  const positions = input('position_ids', [batch, token], 'int32')
  const images = imagesOf(model, s)
  const last = input('last', [batch], 'int32')
  const source = input('source', [row], 'int32')
  const next = new Map<string, Tensor>()
  const cache = eachTime((path, keys, values) => {
    for (const { key, own, whole } of sidesOf(s, path, keys, values, row, slots)) {
      const taken = gather(pad(own, Key, 0, s.capacity - s.prompt), maximum(source, 0))
      next.set(key, select(greaterEqual(source, 0), taken, whole))
    }
    return [[keys, values]]
  })
  const embedded = model.embed(ids, images === 0 ? undefined : imageInputs(model, images, batch, token))
  const mask = causal(token)
  const keyPositions = positionsOfKeys(positions)
  const hidden = model.decode(embedded, { token, positions, keyPositions, mask, cache })
  return { hidden, last, token, next }
}

/**
 * Adds one token a row.
 *
 * Inputs: `input_ids` and `position` int32 `[batch]`, the token and its place. Output: `logits` `[batch, vocab]` of the next.
 * A place must be one that the cache has: what a row gives for another is not defined, nor what its first or last place then
 * holds; the other rows are as they were.
 *
 * @throws GraphError as {@link prefill}
 * @category generation
 */
export const decode = (model: CausalLm, s: GenerationSizes): Results => {
  checkedSizes(model, s, siteOf(decode))
  const batch = axis('batch', s.rows)
  const token = axis('token', 1)
  const slots = axis(Key, s.capacity)
  const ids = input('input_ids', [batch], 'int32')
  const position = input('position', [batch], 'int32')
  const places = iota(slots)
  const itself: Tensor = constant(new Uint8Array(s.rows).fill(1), [batch, axis(Key, 1)])
  const mask = concat([itself, less(places, position)], Key)
  const next = new Map<string, Tensor>()
  const cache = eachTime((path, keys, values) => {
    const [k, v] = sidesOf(s, path, keys, values, batch, slots)
    for (const { key, own, whole } of [k, v])
      next.set(key, select(equal(position, places), without(own, Key), whole))
    return [
      [k.own, v.own],
      [k.whole, v.whole, { place: position, mask }],
    ]
  })
  const hidden = model.decode(model.embed(reshape(ids, [batch, token])), {
    token,
    positions: reshape(position, [batch, token]),
    keyPositions: concat([reshape(position, [batch, axis(Key, 1)]), broadcast(places, [batch, slots])], Key),
    mask,
    cache,
  })
  return { outputs: { logits: headOf(model, hidden) }, next }
}

/** How the rows of {@link extend} are drawn. */
export interface ExtendOptions {
  /** Whether each row has its own scale and greediness; default no. */
  readonly each?: boolean
  /** Whether each row may filter its tokens and make them less likely, which costs two searches a token; default no. */
  readonly filtered?: boolean
}

/**
 * Adds several tokens a row in one call: each is drawn inside the graph and read by the next.
 *
 * Inputs: `input_ids`, `position` int32 `[batch]` as of {@link decode}; `uniform` float32 `[step, batch]`, the numbers by
 * which tokens are drawn; `scale` float32 and `greedy` bool, of rank 0 (`[batch]` with `each`), and `bias` float32 `[vocab]`,
 * as {@link drawToken} takes them. Where they are filtered also `top_k` int32, `top_p`, `min_p` and `penalty` float32 `[batch]`
 * and `seen` bool `[batch, vocab]`, the tokens that a row already has: filters and repetition penalty as transformers has them.
 * Outputs: `ids` int32 and `log_probs` float32, `[step, batch]`. A place must be one that the cache has: what a row gives for
 * another is not defined, nor what its first or last place then holds; the other rows are as they were.
 *
 * @param steps tokens a row
 * @throws GraphError as {@link prefill}, and where `steps` is no whole number
 * @category generation
 */
export const extend = (
  model: CausalLm,
  s: GenerationSizes,
  steps: number,
  options: ExtendOptions = {},
): Results => {
  const { each = false, filtered = false } = onlySettings('extend', options, ['each', 'filtered'])
  const site = siteOf(extend)
  checkedSizes(model, s, site)
  checkedSteps(steps, site)
  const [batch, token, step] = [axis('batch', s.rows), axis('token', 1), axis('step', steps)]
  const slots = axis(Key, s.capacity)
  const places = iota(slots)
  const position = input('position', [batch], 'int32')
  const uniform = input('uniform', [step, batch])
  const how: Omit<DrawInputs, 'uniform'> = {
    ...drawInputs(model, ...(each ? [batch] : [])),
    ...(filtered ? filterInputs(model, batch) : {}),
  }
  let { penalty } = how
  const earlier = less(places, position)
  const next = new Map<string, Tensor>()
  /** What this call has added to each side of each layer, `[batch, …, key, headDim]` a step. */
  const added = new Map<string, readonly Tensor[]>()
  const drawn: { readonly ids: Tensor; readonly logProbs: Tensor }[] = []
  for (let i = 0; i < steps; i++) {
    const at: Tensor = add(position, i)
    const ownKeys = axis(Key, i + 1)
    const own: Tensor = constant(new Uint8Array(s.rows * (i + 1)).fill(1), [batch, ownKeys])
    const mask = concat([own, earlier], Key)
    const ownPositions: Tensor = transpose(add(position, iota(ownKeys)), [batch.name, Key])
    const cache = eachTime((path, keys, values) => {
      const [k, v] = sidesOf(s, path, keys, values, batch, slots)
      const withEarlier = ({ key, own, whole }: CacheSide): Tensor => {
        const all = [...(added.get(key) ?? []), own]
        added.set(key, all)
        next.set(key, select(equal(at, places), without(own, Key), next.get(key) ?? whole))
        return concat(all, Key)
      }
      return [
        [withEarlier(k), withEarlier(v)],
        [k.whole, v.whole, { place: at, mask }],
      ]
    })
    const ids: Tensor = i === 0 ? input('input_ids', [batch], 'int32') : drawn[i - 1]!.ids
    const hidden = model.decode(model.embed(reshape(ids, [batch, token])), {
      token,
      positions: reshape(at, [batch, token]),
      keyPositions: concat([ownPositions, broadcast(places, [batch, slots])], Key),
      mask,
      cache,
    })
    const one = drawToken(headOf(model, hidden), {
      ...how,
      penalty,
      uniform: reshape(slice(uniform, 'step', i, 1), [batch]),
    })
    drawn.push(one)
    if (penalty !== undefined) penalty = { ...penalty, seen: alsoSeen(penalty.seen, one.ids) }
  }
  const row = axis('step', 1)
  const joined = (xs: readonly Tensor[]): Tensor =>
    concat(
      xs.map((x): Tensor => reshape(x, [row, batch])),
      'step',
    )
  return {
    outputs: { ids: joined(drawn.map((d) => d.ids)), log_probs: joined(drawn.map((d) => d.logProbs)) },
    next,
  }
}
