/**
 * A reward behind a condition, and a reward in place of one that has nothing to say.
 *
 * @since 0.1.0
 */
import { RecipeError } from '../../train/index.ts'
import type { Judgement, Reward } from '../reward.ts'
import type { Columns } from '../task.ts'
import {
  type ColumnsOfAll,
  type CompoundReward,
  checkedRewards,
  made,
  type Rewards,
  silence,
} from './compound.ts'
import { abstained, failed, judgementOf, scored } from './judgement.ts'

const behind = (condition: Reward<never>, reward: Reward<never>): CompoundReward<Columns> =>
  made(
    { name: reward.name, config: { kind: 'gate', condition: condition.config, reward: reward.config } },
    {
      rewards: { condition, reward },
      rebuild: (others) => behind(others.condition!, others.reward!) as Reward<never>,
    },
    async (judged) => {
      const open = await judgementOf(condition, judged)
      const at = { condition: open }
      if (open._tag === 'Failed')
        return failed(`condition ${condition.name}: ${open.why}`, open.elapsedMs, at)
      if (open._tag === 'Abstained') return abstained(`condition ${condition.name}: ${open.why}`, at)
      if (open.value <= 0) return scored(0, { closedBy: condition.name }, at)
      const judgement = await judgementOf(reward, judged)
      return { ...judgement, parts: { ...at, [reward.name]: judgement } }
    },
  )

/**
 * The reward's own judgement where the condition is above 0, else 0; the reward is not even asked then, which spares a
 * judge's call. A condition that failed or abstains fails or abstains the whole: what is behind it cannot be known.
 *
 * @throws RecipeError where one of both is no reward
 * @category algebra
 */
export const gate = <A extends Columns, B extends Columns>(
  condition: Reward<A>,
  reward: Reward<B>,
): CompoundReward<A & B> => {
  checkedRewards('gate', { condition, reward })
  return behind(condition, reward)
}

const firstOf = (rewards: Rewards, name: string): CompoundReward<Columns> => {
  const configs = Object.entries(rewards).map(([part, { config }]) => [part, config])
  return made(
    { name, config: { kind: 'firstThatSpeaks', name, rewards: configs } },
    { rewards, rebuild: (others) => firstOf(others, name) as Reward<never> },
    async (judged) => {
      const parts: Record<string, Judgement> = {}
      for (const [part, reward] of Object.entries(rewards)) {
        const judgement = await judgementOf(reward, judged)
        parts[part] = judgement
        if (judgement._tag === 'Failed')
          return failed(`${part}: ${judgement.why}`, judgement.elapsedMs, parts)
        if (judgement._tag === 'Scored')
          return scored(judgement.value, { ...judgement.evidence, saidBy: part }, parts)
      }
      return abstained(silence(parts), parts)
    },
  )
}

/**
 * The judgement of the first reward that does not abstain, in the order in which they stand: a rule where the task has an
 * answer, a judge where it has none. A failure is not passed over; the ones after it are not asked.
 *
 * @throws RecipeError where there is no reward
 * @category algebra
 */
export const firstThatSpeaks = <R extends Rewards>(
  rewards: R,
  name = 'firstThatSpeaks',
): CompoundReward<ColumnsOfAll<R>> => {
  checkedRewards(name, rewards)
  if (Object.keys(rewards).some((part) => /^\d+$/.test(part)))
    throw new RecipeError(name, 'rewards', 'a whole number is no name here: it would change the order')
  return firstOf(rewards, name) as CompoundReward<ColumnsOfAll<R>>
}
