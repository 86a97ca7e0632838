/**
 * One reward changed: its value scaled or clipped, its evidence rewritten. What abstains or failed stays as it is.
 *
 * @since 0.1.0
 */
import { RecipeError } from '../../train/index.ts'
import type { Evidence, Judgement, Reward } from '../reward.ts'
import type { Columns } from '../task.ts'
import { type CompoundReward, wrapped } from './compound.ts'

const onValue =
  (change: (value: number) => number) =>
  (judgement: Judgement): Judgement =>
    judgement._tag === 'Scored' ? { ...judgement, value: change(judgement.value) } : judgement

const finite = (where: string, setting: string, x: number): number => {
  if (Number.isFinite(x)) return x
  throw new RecipeError(where, setting, `it is ${x}; give a finite number`)
}

/**
 * Each value times `factor`.
 *
 * @throws RecipeError where the factor is not finite
 * @category algebra
 */
export const scale =
  (factor: number) =>
  <C extends Columns>(reward: Reward<C>): CompoundReward<C> => {
    finite(reward.name, 'scale', factor)
    return wrapped(
      reward,
      (of) => ({ kind: 'scale', factor, reward: of }),
      onValue((value) => value * factor),
    )
  }

/**
 * Each value, but not below `least` and not above `most`.
 *
 * @throws RecipeError where the bounds are not finite or in the wrong order
 * @category algebra
 */
export const clip =
  (least: number, most: number) =>
  <C extends Columns>(reward: Reward<C>): CompoundReward<C> => {
    finite(reward.name, 'clip', least)
    finite(reward.name, 'clip', most)
    if (least > most)
      throw new RecipeError(reward.name, 'clip', `${least} is above ${most}; give the lower bound first`)
    return wrapped(
      reward,
      (of) => ({ kind: 'clip', least, most, reward: of }),
      onValue((value) => Math.min(most, Math.max(least, value))),
    )
  }

/**
 * Each value with other evidence. The value and the parts stay, so nothing that is learnt changes, and its configuration
 * is that of the reward. A function that throws makes the judgement `Failed`.
 *
 * @category algebra
 */
export const mapEvidence =
  (change: (evidence: Evidence) => Evidence) =>
  <C extends Columns>(reward: Reward<C>): CompoundReward<C> =>
    wrapped(
      reward,
      (of) => of,
      (judgement) =>
        judgement._tag === 'Scored' ? { ...judgement, evidence: change(judgement.evidence) } : judgement,
    )
