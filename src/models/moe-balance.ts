/**
 * What keeps a mixture's experts in use, and how much each is used.
 *
 * All of it is built of sums over tokens, which add up over rows, packs, micro-batches and devices: the balance is that of
 * the whole batch, as SAIL-VL2 averages activation across ranks (arXiv 2509.14033 §2.2), and not a mean of the balances of
 * its parts.
 *
 * @since 0.1.0
 */
import {
  add,
  axis,
  cast,
  concat,
  div,
  exp,
  findAxis,
  less,
  log,
  max,
  mul,
  reshape,
  type Scalar,
  select,
  square,
  stopGradient,
  sub,
  sum,
  type Tensor,
  total,
} from '../dsl/index.ts'
import { type RouterOutput, routing } from './moe.ts'
import type { MoeConfig } from './moe-config.ts'

/** What the tokens of a batch did, as sums over them. */
export interface RouterSums {
  /** How many tokens went through each expert: `[layer, expert]`. No gradient goes through it. */
  readonly load: Tensor
  /** The tokens' probabilities, added up: `[layer, expert]`. */
  readonly probabilities: Tensor
  /** ln Σ eˡᵒᵍⁱᵗ of each token squared, added up over tokens and layers. */
  readonly squares: Scalar
  /** How many tokens there were. */
  readonly tokens: Scalar
}

/**
 * Adds up what routers gave.
 *
 * @param routers at least one; their logits are `[…, expert]`
 * @param counted bool, the logits' other axes or fewer: the tokens that count, such as those that are no padding; default: all
 * @category balance
 */
export const routerSums = (
  c: MoeConfig,
  routers: readonly Pick<RouterOutput, 'logits'>[],
  counted?: Tensor,
): RouterSums => {
  const layer = axis('layer', 1)
  const rows = routers.map(({ logits }) => {
    const r = routing(c, logits)
    const lead = logits.names.filter((n) => n !== 'expert')
    const over = (t: Tensor): Tensor => {
      const of = counted === undefined ? t : select(counted, t, 0)
      return sum(of, ...lead)
    }
    // ln Σ e^x without overflow: no gradient is wanted through the maximum, which cancels
    const top = stopGradient(max(logits, 'expert'))
    const logSum = add(log(sum(exp(sub(logits, top)), 'expert')), top)
    const one = (t: Tensor): Tensor => reshape(t, [layer, findAxis(t, 'expert')!])
    return {
      load: one(over(cast(r.chosen, 'float32'))),
      probabilities: one(over(r.probabilities)),
      squares: over(square(logSum)),
    }
  })
  const [first] = routers
  const ones = div(sum(cast(routing(c, first!.logits).chosen, 'float32'), 'expert'), c.perToken)
  return {
    load: stopGradient(
      concat(
        rows.map((r) => r.load),
        'layer',
      ),
    ),
    probabilities: concat(
      rows.map((r) => r.probabilities),
      'layer',
    ),
    squares: rows.map((r) => r.squares).reduce((a, b) => add(a, b)) as Scalar,
    tokens: total(counted === undefined ? ones : select(counted, ones, 0)),
  }
}

/** What of the sums a loss divides by: those of the whole batch, of which `s` may be a part. */
export type BatchSums = Pick<RouterSums, 'load' | 'tokens'>

/** One over tokens · layers; 0 where there are no tokens. */
const share = (whole: BatchSums): Tensor => {
  const layers = findAxis(whole.load, 'layer')!.size
  const all = mul(whole.tokens, layers)
  return select(less(0, all), div(1, select(less(0, all), all, 1)), 0)
}

/**
 * The load-balancing loss (Fedus et al. 2021) as transformers computes it for Qwen3-MoE, over all layers together:
 * E · Σ f · P, where f is the share of tokens that went through an expert and P its mean probability. It is `perToken` where
 * all experts are used alike, and more otherwise.
 *
 * The balances of the parts of a batch add up to that of the batch, where each is given the sums of the `whole`.
 *
 * @category balance
 */
export const balanceLoss = (c: MoeConfig, s: RouterSums, whole: BatchSums = s): Scalar => {
  const one = share(whole)
  const used = mul(sum(whole.load, 'layer'), one)
  return mul(total(mul(used, mul(sum(s.probabilities, 'layer'), one))), c.experts) as Scalar
}

/**
 * The router z-loss (Zoph et al. 2022): the mean of (ln Σ eˡᵒᵍⁱᵗ)² over tokens and layers, which keeps logits small. Parts of
 * a batch add up as in {@link balanceLoss}.
 *
 * @category balance
 */
export const routerZLoss = (s: RouterSums, whole: BatchSums = s): Scalar =>
  mul(s.squares, share(whole)) as Scalar
