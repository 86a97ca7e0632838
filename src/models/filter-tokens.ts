/**
 * The filters of drawing, inside the graph: which tokens top-k, top-p and min-p leave. Nothing is sorted; the smallest value
 * that is left is searched by halves, in as many steps as float32 needs to tell values apart.
 */
import {
  type Axis,
  add,
  and,
  broadcast,
  cast,
  exp,
  less,
  lessEqual,
  loop,
  max,
  maximum,
  mul,
  or,
  scalar,
  select,
  sub,
  sum,
  type Tensor,
} from '../dsl/index.ts'

/** What each row leaves of its tokens. */
export interface Filters {
  /** int32 `[batch]`: the `topK` likeliest; all, where there are no more. */
  readonly topK: Tensor
  /** float32 `[batch]`: the likeliest that together have this probability; 1 for all. */
  readonly topP: Tensor
  /** float32 `[batch]`: those at least this many times as likely as the likeliest; 0 for all. */
  readonly minP: Tensor
}

/** Below e^−128 of the likeliest a probability is 0 in float32. */
const least = -128

/** 129 / 2⁴⁰ is less than the distance of two float32 numbers that differ in probability. */
const halvings = 40

/** The largest number from `low` on that is in, where a number below one that is in is in; and the next that is not. */
const searched = (
  batch: Axis,
  [low, high]: readonly [number, number],
  isIn: (at: Tensor) => Tensor,
): { readonly inside: Tensor; readonly outside: Tensor } =>
  loop<{ inside: Tensor; outside: Tensor }>({
    times: halvings,
    carried: { inside: broadcast(scalar(low), [batch]), outside: broadcast(scalar(high), [batch]) },
    step: ({ inside, outside }) => {
      const middle: Tensor = mul(add(inside, outside), 0.5)
      const hit = isIn(middle)
      return { next: { inside: select(hit, middle, inside), outside: select(hit, outside, middle) } }
    },
  })

/**
 * Probabilities of which those are 0 that the filters take away: top-k, of what it leaves top-p, then min-p. Tokens as likely
 * as the last that is left stay.
 *
 * @param open logits `[batch, vocab]` after temperature, −∞ where a token is never drawn
 * @param p their softmax
 */
export const filterTokens = (open: Tensor, p: Tensor, { topK, topP, minP }: Filters): Tensor => {
  const [batch, vocab] = open.axes as readonly [Axis, Axis]
  const z: Tensor = maximum(sub(open, max(open, vocab.name)), least)
  const count = cast(topK, 'float32')
  const enough = (at: Tensor): Tensor => lessEqual(count, sum(cast(lessEqual(at, z), 'float32'), vocab.name))
  const { outside } = searched(batch, [least, 1], enough)
  const last = max(select(less(z, outside), z, least), vocab.name)
  const likely: Tensor = lessEqual(last, z)
  const kept: Tensor = select(likely, p, 0)
  const share: Tensor = mul(topP, sum(kept, vocab.name))
  const { inside } = searched(batch, [least - 1, 0], (at) =>
    lessEqual(share, sum(select(less(at, z), kept, 0), vocab.name)),
  )
  // the smallest that is above: the likeliest stays, whatever topP is
  const smallest = mul(max(select(less(inside, z), mul(z, -1), 2 * least), vocab.name), -1)
  // sums are rounded: all is all
  const nucleus: Tensor = or(lessEqual(smallest, z), lessEqual(1, topP))
  return select(and(and(likely, nucleus), lessEqual(minP, exp(z))), p, 0)
}
