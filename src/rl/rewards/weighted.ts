/**
 * A weighted sum of rewards.
 *
 * @since 0.1.0
 */
import { kindOf } from '../../settings/index.ts'
import { didYouMean } from '../../terminal/index.ts'
import { RecipeError } from '../../train/index.ts'
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
  type WeightsByName,
} from './compound.ts'
import { abstained, failed, scored } from './judgement.ts'

/** The sum of weight times value over the parts that were scored. */
const sumOf =
  (weights: WeightsByName): Combine =>
  (parts) => {
    const failure = failureOf(parts, (name) => weights[name] !== 0)
    if (failure !== undefined) return failure
    const counted = scoredParts(parts).filter(([name]) => weights[name] !== 0)
    if (counted.length === 0) return abstained(silence(parts), parts)
    const value = counted.reduce((sum, [name, x]) => sum + weights[name]! * x, 0)
    if (!Number.isFinite(value)) return failed(`the sum of its parts is ${value}`, 0, parts)
    return scored(value, { weights }, parts)
  }

/**
 * The sum of weight times value. A part that failed fails the sum, and a part that abstains adds nothing: the other
 * weights stay as they are, and where all abstain, so does the sum. A part of weight 0 is a metric: it is kept in `parts`,
 * and neither its value nor its failure counts.
 *
 * @throws RecipeError where a weight is missing, not finite or of no reward, or all are 0
 * @category algebra
 */
export const weighted = <R extends Rewards>(
  rewards: R,
  weights: { readonly [K in keyof R]: number },
  name = 'weighted',
): CompoundReward<ColumnsOfAll<R>> => {
  checkedRewards(name, rewards)
  if (typeof weights !== 'object' || weights === null)
    throw new RecipeError(name, 'weights', `it is ${kindOf(weights)}; give a number for each reward`)
  for (const part of Object.keys(weights))
    if (!Object.hasOwn(rewards, part))
      throw new RecipeError(
        name,
        `weights.${part}`,
        `it is of no reward; there are ${Object.keys(rewards).join(', ')}.${didYouMean(part, Object.keys(rewards))}`,
      )
  for (const part of Object.keys(rewards))
    if (!Number.isFinite(weights[part]))
      throw new RecipeError(name, `weights.${part}`, `it is ${weights[part]}; give a finite number`)
  if (Object.values(weights).every((w) => w === 0))
    throw new RecipeError(name, 'weights', 'all are 0; give at least one that is not')
  const kept: WeightsByName = Object.fromEntries(Object.keys(rewards).map((part) => [part, weights[part]!]))
  return compound({
    ...{ name, kind: 'weighted', rewards, weights: kept },
    combine: sumOf(kept),
    rebuild: (others, w) => weighted<Rewards>(others, w, name) as Reward<never>,
  })
}
