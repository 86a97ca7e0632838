/**
 * A token drawn inside the graph: the first whose place in the probabilities added up passes a number from outside.
 *
 * The sums are taken in two steps, over blocks of the vocabulary and then inside one block, so that they cost little
 * however large it is; a token without probability is never drawn, whatever rounding does to the sums.
 */
import {
  type Axis,
  add,
  and,
  argmax,
  axis,
  constant,
  contract,
  div,
  equal,
  greater,
  iota,
  less,
  mul,
  negativeLogLikelihood,
  or,
  pad,
  reshape,
  select,
  softmax,
  sub,
  sum,
  type Tensor,
  transpose,
} from '../dsl/index.ts'
import { type Filters, filterTokens } from './filter-tokens.ts'

/** What a draw reads beside the logits. */
export interface DrawInputs {
  /** float32, of rank 0 or `[batch]`: 1 / temperature. */
  readonly scale: Tensor
  /** bool, likewise: whether the likeliest token is taken in place of a draw. */
  readonly greedy: Tensor
  /** float32 `[vocab]`: 0, or −∞ for a token that is never drawn. */
  readonly bias: Tensor
  /** float32 `[batch]`, from 0 and below 1. */
  readonly uniform: Tensor
  /** Default: every token may be drawn. */
  readonly filters?: Filters
  /** Default: none. */
  readonly penalty?: Penalty
}

/** What makes tokens less likely that a row already has. */
export interface Penalty {
  /** bool `[batch, vocab]`: those it has. */
  readonly seen: Tensor
  /** float32 `[batch]`: their logits are divided by it where positive, and multiplied where not; 1 for no penalty. */
  readonly by: Tensor
}

/** Logits after the penalty. */
const penalised = (logits: Tensor, { seen, by }: Penalty): Tensor =>
  transpose(select(seen, select(less(0, logits), div(logits, by), mul(logits, by)), logits), logits.names)

/** What is seen once these tokens are, `[batch]`. */
export const alsoSeen = (seen: Tensor, ids: Tensor): Tensor => {
  const [, vocab] = seen.axes as readonly [Axis, Axis]
  return transpose(or(seen, equal(ids, iota(vocab))), seen.names)
}

/** The size of a block: the divisor that is nearest to the root, or the root where that one is far from it. */
const blockSize = (n: number): number => {
  const root = Math.sqrt(n)
  for (let d = Math.floor(root); d > root / 4; d--) if (n % d === 0) return n / d
  return Math.ceil(root)
}

/** Sums of an axis's elements up to each of them, under the axis `to` of the same size. */
const upTo = (x: Tensor, along: Axis, to: Axis): Tensor => {
  const ones = Float32Array.from({ length: along.size * to.size }, (_, i) =>
    Math.floor(i / to.size) <= i % to.size ? 1 : 0,
  )
  return contract(x, constant(ones, [along, to]), along.name)
}

/** The first place along `along` whose sum passes `target` and that has something; where rounding leaves none, the largest. */
const passing = (x: Tensor, along: Axis, target: Tensor): Tensor => {
  const to = axis(`${along.name} to`, along.size)
  const here = reshape(x, [...x.axes.slice(0, -1), to])
  const hit = and(greater(upTo(x, along, to), target), greater(here, 0))
  // probabilities added up are 1, and 2 is more
  return argmax(select(hit, 2, here), to.name)
}

/**
 * Draws a token a row.
 *
 * @param logits float32 `[batch, vocab]`
 * @returns ids int32 `[batch]`, and the natural logarithm of each one's probability, float32 `[batch]`: under
 *   softmax(logits · scale), whatever the bias, the penalty and the filters
 */
export const drawToken = (
  logits: Tensor,
  d: DrawInputs,
): { readonly ids: Tensor; readonly logProbs: Tensor } => {
  const [batch, vocab] = logits.axes as readonly [Axis, Axis]
  const scaled: Tensor = mul(logits, d.scale)
  const fair = d.penalty === undefined ? scaled : mul(penalised(logits, d.penalty), d.scale)
  const open: Tensor = add(fair, d.bias)
  const size = blockSize(vocab.size)
  const [block, inner] = [axis('block', Math.ceil(vocab.size / size)), axis('inner', size)]
  const over = block.size * size - vocab.size
  const all: Tensor = softmax(open, vocab.name)
  const p = d.filters === undefined ? all : filterTokens(open, all, d.filters)
  const whole = over === 0 ? p : pad(p, vocab.name, 0, over)
  const blocks: Tensor = reshape(whole, [batch, block, inner])
  const masses: Tensor = sum(blocks, 'inner')
  const target = mul(d.uniform, sum(masses, 'block'))
  const at = passing(masses, block, target)
  const places = iota(block)
  const before = sum(select(less(places, at), masses, 0), 'block')
  const own = sum(select(equal(at, places), blocks, 0), 'block')
  const inside = passing(own, inner, sub(target, before))
  const drawn = add(mul(at, size), inside)
  const ids: Tensor = select(d.greedy, argmax(open, vocab.name), drawn)
  return { ids, logProbs: mul(negativeLogLikelihood(scaled, ids, vocab.name), -1) }
}
