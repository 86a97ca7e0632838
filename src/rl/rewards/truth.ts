/**
 * Rewards as truth values from 0 (false) to 1 (true): the least, the greatest, the product.
 *
 * What a part that failed would have said is unknown, so the whole fails, unless the other parts decide it alone (Kleene's
 * three-valued logic): a 0 decides `all` and `product`, a 1 decides `any`. A part that abstains is left out; where all do,
 * the whole abstains. A value outside 0 to 1 is `Failed`.
 *
 * @since 0.1.0
 */
import type { Reward } from '../reward.ts'
import {
  type ColumnsOfAll,
  type Combine,
  type CompoundReward,
  checkedRewards,
  compound,
  failureOf,
  type Rewards,
  scoredParts,
  silence,
} from './compound.ts'
import { abstained, failed, scored } from './judgement.ts'

/** A way to put truth values together that one value decides alone. */
const lattice =
  (kind: string, decides: number, join: (values: readonly number[]) => number): Combine =>
  (parts) => {
    const spoken = scoredParts(parts)
    const outside = spoken.find(([, value]) => value < 0 || value > 1)
    if (outside !== undefined)
      return failed(
        `${outside[0]}: ${kind} reads values from 0 to 1, and it is ${outside[1]}; use clip or scale`,
        0,
        parts,
      )
    const decided = spoken.find(([, value]) => value === decides)
    if (decided !== undefined) return scored(decides, { decidedBy: decided[0] }, parts)
    const failure = failureOf(parts)
    if (failure !== undefined) return failure
    if (spoken.length === 0) return abstained(silence(parts), parts)
    return scored(join(spoken.map(([, value]) => value)), {}, parts)
  }

const of =
  (kind: string, combine: Combine) =>
  <R extends Rewards>(rewards: R, name: string = kind): CompoundReward<ColumnsOfAll<R>> =>
    compound({
      ...{ name, kind, rewards: checkedRewards(name, rewards), combine },
      rebuild: (others) => of(kind, combine)<Rewards>(others, name) as Reward<never>,
    })

/** The product of values from 0 to 1, as in {@link sailRl}. */
export const productOf: Combine = lattice('product', 0, (values) => values.reduce((a, b) => a * b, 1))

/**
 * The least of the values: 1 where all parts are.
 *
 * @throws RecipeError where there is no reward
 * @category algebra
 */
export const all: <R extends Rewards>(rewards: R, name?: string) => CompoundReward<ColumnsOfAll<R>> = of(
  'all',
  lattice('all', 0, (values) => Math.min(...values)),
)

/**
 * The greatest of the values: 1 where one part is.
 *
 * @throws RecipeError where there is no reward
 * @category algebra
 */
export const any: <R extends Rewards>(rewards: R, name?: string) => CompoundReward<ColumnsOfAll<R>> = of(
  'any',
  lattice('any', 1, (values) => Math.max(...values)),
)

/**
 * The product of the values: 1 where all parts are, and what is half true halves the whole.
 *
 * @throws RecipeError where there is no reward
 * @category algebra
 */
export const product: <R extends Rewards>(rewards: R, name?: string) => CompoundReward<ColumnsOfAll<R>> = of(
  'product',
  productOf,
)
