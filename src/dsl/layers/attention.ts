/** Attention: multi-head and grouped-query, with any mask. */
import { onlySettings } from '../../settings/index.ts'
import { type Axis, as, axis } from '../axis.ts'
import { composite } from '../composite.ts'
import { contractOf } from '../contract.ts'
import { binaryOf, castTo, compareOf, equal, lessEqual, or, selectOf } from '../elementwise.ts'
import { GraphError } from '../error.ts'
import { findAxis, type Tensor } from '../graph.ts'
import { applyTo, at, builtIn, type Layer } from '../layer.ts'
import { iota } from '../leaves.ts'
import { reduceOf, softmaxOf } from '../reduce.ts'
import { axisOf, concat, renamed, reshaped, slice, transposed } from '../shape.ts'
import { type Site, siteOf } from '../site.ts'
import { linear } from './linear.ts'
import { rmsNorm } from './norm.ts'
import { type Rotations, rotate } from './rotary.ts'
import { allSee } from './sees.ts'

/** The name of the attended side of a mask and of the scores. */
export const Key = 'key'

/**
 * Scaled dot-product attention: softmax(q·kᵀ / √d) · v over the keys that the mask allows. A token that may attend to
 * nothing gets zeros, and no gradient flows through it. The score of a key that the mask hides is not looked at, be it
 * infinite or NaN; its value is weighed with 0, so it must be finite.
 *
 * @param q `[…, token, head, headDim]`, or with grouped queries `[…, token, kvHead, group, headDim]`
 * @param k `[…, key, head, headDim]`
 * @param v `[…, key, head, headDim]`
 * @param mask bool, true where a token may attend: any of `[…, token, key]`
 * @returns the axes of q
 * @throws GraphError `BadDtype`, `UnknownAxis`, `SizeMismatch`
 * @category layers
 */
export const attend = (q: Tensor, k: Tensor, v: Tensor, headDim: string, mask?: Tensor): Tensor => {
  const site = siteOf(attend)
  const scale = 1 / Math.sqrt(axisOf('attend', q, headDim, site).size)
  const scores = contractOf(binaryOf('mul', q, scale, site), k, [headDim], site)
  if (mask === undefined) {
    const body = contractOf(softmaxOf('softmax', scores, Key, site), v, [Key], site, q.names)
    return composite('attention', { scale, axis: headDim }, body, [q, k, v], site)
  }
  if (mask.dtype !== 'bool')
    throw new GraphError(
      'BadDtype',
      `attend: the mask is ${mask.dtype}; a bool is needed, true where a token may attend`,
      site,
      mask.axes,
    )
  const sees = allSee(mask, Key) ? undefined : anyOf(mask, site)
  // a row of −∞ alone has no softmax: where nothing is seen all weights are equal, and then not taken
  const none = Number.NEGATIVE_INFINITY
  const hidden = sees === undefined ? none : selectOf(sees, none, 0, site)
  const allowed = selectOf(mask, scores, hidden, site)
  const mixed = contractOf(softmaxOf('softmax', allowed, Key, site), v, [Key], site, q.names)
  const body = sees === undefined ? mixed : selectOf(sees, mixed, 0, site)
  return composite(
    'attention',
    { scale, axis: headDim },
    transposed(body, q.names, site),
    [q, k, v, mask],
    site,
  )
}

/**
 * {@link attend} over keys and values that lie in several stretches, without joining them: what a large cache holds and
 * what is new need not become one tensor. Every token attends to one key at least, and the scores of hidden keys are finite.
 *
 * @param stretches in the order in which the mask counts their keys
 * @param mask bool, true where a token may attend: any of `[…, token, key]`, `key` of all stretches together
 * @returns the axes of q
 */
const attendStretches = (
  q: Tensor,
  stretches: readonly KeysAndValues[],
  headDim: string,
  mask: Tensor | undefined,
  site: Site,
): Tensor => {
  const scaled = binaryOf('mul', q, 1 / Math.sqrt(axisOf('attend', q, headDim, site).size), site)
  const scores = stretches.map(([k]) => contractOf(scaled, k, [headDim], site))
  const all = concat(scores, Key)
  // what is added is small and the same in every layer, a choice among the scores is neither
  const allowed =
    mask === undefined ? all : binaryOf('add', all, selectOf(mask, 0, Number.NEGATIVE_INFINITY, site), site)
  const weights = softmaxOf('softmax', allowed, Key, site)
  let start = 0
  const mixed = stretches.map(([k, v]) => {
    const { size } = axisOf('attend', k, Key, site)
    const own = slice(weights, Key, start, size)
    start += size
    return contractOf(own, v, [Key], site, q.names)
  })
  const body = mixed.reduce((a, b) => binaryOf('add', a, b, site))
  const [own, cached] = stretches
  const written = cached?.[2]
  // what an engine does in place shows what the cache's own mask shows, and nothing less
  return written === undefined || written.mask !== mask || stretches.length > 2
    ? body
    : composite(
        'cachedAttention',
        { scale: 1 / Math.sqrt(axisOf('attend', q, headDim, site).size), axis: headDim },
        transposed(body, q.names, site),
        [q, own![0], own![1], cached![0], cached![1], written.place],
        site,
      )
}

/** Several queries a row are not asked of a cache that takes in one token. */
const withoutPlace = ([keys, values]: KeysAndValues): KeysAndValues => [keys, values]

/** Whether there is a key that a token may attend to. */
const anyOf = (mask: Tensor, site: Site): Tensor =>
  findAxis(mask, Key) === undefined
    ? mask
    : compareOf('less', 0, reduceOf('max', castTo(mask, 'float32', site), [Key], site), site)

/** What a {@link selfAttention} is made of. */
export interface AttentionAxes<T extends string, E extends string> {
  readonly token: Axis<T>
  readonly embed: Axis<E>
  readonly heads: number
  /** Fewer than `heads`: grouped queries. Default: as many. */
  readonly kvHeads?: number
  /** Default embed / heads. */
  readonly headDim?: number
  /** One fused map with this scope (`qkv`), or three (`q_proj`, `k_proj`, `v_proj`). Default three. */
  readonly fused?: string
  /** Scope of the output map; default `o_proj`. */
  readonly output?: string
  /** RMSNorm of queries and keys over the head dimension (`q_norm`, `k_norm`) with this epsilon. */
  readonly qkNorm?: number
  /** Rotary positions of the tokens. */
  readonly rotary?: Rotations
  /** bool, true where a token may attend: axes among `[…, token, key]`. */
  readonly mask?: Tensor | undefined
  /** Keys and values of earlier tokens, where tokens are generated one by one. */
  readonly cache?: KeyValues | undefined
  /**
   * Picks the tokens that attend, and that come out: it is given what has the token axis (the input, rotations, the mask) and
   * answers it with fewer tokens. All are attended to. Default: all attend.
   */
  readonly queries?: (x: Tensor) => Tensor
}

/**
 * Keys and values of the same tokens: `key`, `head` and `headDim` among their axes. Where they are those of a cache that takes
 * in the tokens of the stretch before: the slot of the last of these (int32), and the mask that shows those, and of the cache
 * the slots before them. Under that mask, and no other, an engine may write and read the cache where it lies.
 */
export type KeysAndValues = readonly [
  keys: Tensor,
  values: Tensor,
  written?: { readonly place: Tensor; readonly mask: Tensor },
]

/**
 * A key-value cache as attention sees it: given a layer's new keys and values (`[…, key, head, headDim]`), those to attend
 * to, in one stretch or several. The mask's `key` axis is that of all stretches together; where there are several, each
 * token attends to one key at least.
 */
export type KeyValues = (path: string, keys: Tensor, values: Tensor) => readonly KeysAndValues[]

/**
 * Self-attention without biases. Parameters `q_proj`, `k_proj`, `v_proj` (or the fused map), the output map, and
 * `q_norm`, `k_norm` where asked for.
 *
 * @throws GraphError `BadArgument` where the heads do not divide
 * @category layers
 */
export const selfAttention = <T extends string, E extends string>(
  c: AttentionAxes<T, E>,
): Layer<readonly [T, E], readonly [T, E]> => {
  onlySettings('selfAttention', c, [
    'token',
    'embed',
    'heads',
    'kvHeads',
    'headDim',
    'fused',
    'output',
    'qkNorm',
    'rotary',
    'mask',
    'cache',
    'queries',
  ])
  const site = siteOf(selfAttention)
  const { heads, kvHeads = heads, headDim = c.embed.size / heads } = c
  const group = heads / kvHeads
  if (![heads, kvHeads, headDim, group].every((n) => Number.isInteger(n) && n > 0))
    throw new GraphError(
      'BadArgument',
      `selfAttention: ${heads} heads over ${kvHeads} key-value heads of ${headDim} dimensions do not divide`,
      site,
      [c.embed],
    )
  const Dim = axis('headDim', headDim)
  const Head = axis('head', kvHeads)
  // a private name: groups of samples are the user's
  const Group = axis(' group', group)
  const queryHeads: readonly Axis[] = group === 1 ? [Head] : [Head, Group]
  const query = axis('query', heads * headDim)
  const kv = axis('kv', kvHeads * headDim)
  const norm = (x: Tensor, name: string, path: string): Tensor =>
    c.qkNorm === undefined ? x : applyTo(at(name)(rmsNorm(Dim, c.qkNorm)), x, path)

  return builtIn<readonly [Axis<T>, Axis<E>], readonly [T, E]>(
    site,
    'selfAttention',
    [c.token, c.embed],
    (x, path) => {
      const asked = c.queries ?? ((t: Tensor): Tensor => t)
      const cut = (t: Tensor, as: readonly Axis[]): Tensor =>
        reshaped(t, [...t.axes.slice(0, -1), ...as, Dim], site)
      const [q, k, v] = projections(x, path)
      const rotated = (t: Tensor, by = c.rotary): Tensor => (by === undefined ? t : rotate(t, by, Dim.name))
      const toKey = (t: Tensor): Tensor => renamed(t, { [c.token.name]: Key }, site)
      const own = [toKey(rotated(norm(cut(k, [Head]), 'k_norm', path))), toKey(cut(v, [Head]))] as const
      const stretches = c.cache === undefined ? [own] : c.cache(path, ...own)
      const turns = c.rotary && { cos: asked(c.rotary.cos), sin: asked(c.rotary.sin) }
      const mask = c.mask && asked(c.mask)
      const query_ = rotated(norm(cut(q, queryHeads), 'q_norm', path), turns)
      const out =
        stretches.length > 1
          ? attendStretches(
              query_,
              c.token.size === 1 ? stretches : stretches.map(withoutPlace),
              Dim.name,
              mask,
              site,
            )
          : attend(query_, stretches[0]![0], stretches[0]![1], Dim.name, mask)
      return applyTo(
        at(c.output ?? 'o_proj')(linear(query, c.embed, { bias: false })),
        reshaped(out, [...q.axes.slice(0, -1), query], site),
        path,
      )
    },
  )

  function projections(x: Tensor, path: string): readonly [Tensor, Tensor, Tensor] {
    const asked = c.queries ?? ((t: Tensor): Tensor => t)
    if (c.fused === undefined)
      return [
        applyTo(at('q_proj')(linear(c.embed, query, { bias: false })), asked(x), path),
        applyTo(at('k_proj')(linear(c.embed, kv, { bias: false })), x, path),
        applyTo(at('v_proj')(linear(c.embed, kv, { bias: false })), x, path),
      ]
    const all = axis('qkv', query.size + 2 * kv.size)
    const y = applyTo(at(c.fused)(linear(c.embed, all, { bias: false })), x, path)
    const part = (start: number, to: Axis): Tensor =>
      renamed(slice(y, 'qkv', start, to.size), { qkv: to.name }, site)
    return [asked(part(0, query)), part(query.size, kv), part(query.size + kv.size, kv)]
  }
}

/**
 * Each token attends to itself and to those before it: bool `[token, key]`.
 *
 * @category masks
 */
export const causal = <T extends string>(token: Axis<T>): Tensor<readonly [T, 'key']> =>
  transposed(lessEqual(iota(as(token, Key)), iota(token)), [token.name, Key], siteOf(causal)) as Tensor<
    readonly [T, 'key']
  >

/**
 * Keys that are real and not padding.
 *
 * @param attention int32 `[…, token]`, 1 for real tokens (Hugging Face's `attention_mask`)
 * @returns bool `[…, key]`
 * @category masks
 */
export const notPadding = (attention: Tensor, token: string): Tensor =>
  equal(renamed(attention, { [token]: Key }, siteOf(notPadding)), 1)

/**
 * Tokens attend only inside their own segment of a pack.
 *
 * @param segment int32 `[…, token]`, the number of each token's sample
 * @returns bool `[…, token, key]`
 * @category masks
 */
export const sameSegment = (segment: Tensor, token: string): Tensor =>
  equal(segment, renamed(segment, { [token]: Key }, siteOf(sameSegment)))

/**
 * Tokens of branches that go on from one stem attend to the stem and to their own branch; those of the stem to the stem alone.
 *
 * @param branch int32 `[…, token]`: 0 in the stem, else the number of the token's branch
 * @returns bool `[…, token, key]`
 * @category masks
 */
export const sameBranch = (branch: Tensor, token: string): Tensor =>
  or(sameSegment(branch, token), equal(renamed(branch, { [token]: Key }, siteOf(sameBranch)), 0))
