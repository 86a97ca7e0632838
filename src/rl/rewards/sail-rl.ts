/**
 * The reward of SAIL-RL.
 *
 * @since 0.1.0
 */
import { onlySettings } from '../../settings/index.ts'
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
} from './compound.ts'
import { abstained, scored } from './judgement.ts'
import { productOf } from './truth.ts'

/** The rewards of {@link sailRl}. */
export interface SailRlParts {
  /** Whether to think was decided well. Left out: it is not asked. */
  readonly judge?: Reward<never>
  /** Whether the thinking is sound. Left out: it is not asked. */
  readonly think?: Reward<never>
  readonly answer: Reward<never>
  readonly format: Reward<never>
}

const combine =
  (alpha: number): Combine =>
  (parts) => {
    const { format, ...factors } = parts
    const substance = productOf(factors)
    if (substance._tag === 'Failed' && alpha !== 0) return { ...substance, parts }
    const failure = failureOf(parts, (name) => name === 'format' && alpha !== 1)
    if (failure !== undefined) return failure
    const substantial = alpha !== 0 && substance._tag === 'Scored'
    const formal = alpha !== 1 && format?._tag === 'Scored'
    if (!substantial && !formal)
      return abstained(`neither answer nor format: ${'why' in substance ? substance.why : ''}`, parts)
    const product = substantial ? substance.value : 0
    const value = alpha * product + (1 - alpha) * (formal ? format.value : 0)
    return scored(value, { alpha, ...(substantial ? { product } : {}) }, parts)
  }

/**
 * α·(judge·think·answer) + (1−α)·format (SAIL-RL, section 3; α = 0.9 there). Right answers by wrong thinking are worth
 * no more than wrong ones. Values of judge, think and answer are from 0 to 1. What failed and abstains counts as in
 * {@link product} inside the brackets and as in {@link weighted} between both.
 *
 * Its one weight is called `alpha`.
 *
 * @throws RecipeError where α is not from 0 to 1
 * @category algebra
 */
export const sailRl = <R extends SailRlParts>(rewards: R, alpha = 0.9): CompoundReward<ColumnsOfAll<R>> => {
  if (!(alpha >= 0 && alpha <= 1))
    throw new RecipeError('sailRl', 'alpha', `it is ${alpha}; give a number from 0 to 1`)
  onlySettings('sailRl', rewards, ['judge', 'think', 'answer', 'format'])
  const given = Object.fromEntries(Object.entries(rewards).filter(([, r]) => r !== undefined)) as Rewards & R
  for (const name of ['answer', 'format'])
    if (given[name] === undefined) throw new RecipeError('sailRl', name, 'it is missing; give a reward')
  return compound({
    ...{ name: 'sailRl', kind: 'sailRl', rewards: checkedRewards('sailRl', given), weights: { alpha } },
    combine: combine(alpha),
    rebuild: (others, weights) => sailRl(others as unknown as SailRlParts, weights.alpha) as Reward<never>,
  }) as CompoundReward<ColumnsOfAll<R>>
}
