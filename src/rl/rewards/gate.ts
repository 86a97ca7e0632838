/**
 * A reward behind a condition, and a reward in place of one that has nothing to say.
 *
 * @since 0.1.0
 */
import { RecipeError } from '../../train/index.ts'
import type { Judgement, Reward } from '../reward.ts'
import type { Columns } from '../task.ts'
import { keepsTime } from './bounded.ts'
import {
  type ColumnsOfAll,
  type CompoundReward,
  checkedRewards,
  type Rewards,
  structure,
} from './compound.ts'
import { abstained, failed, type JudgedParts, judgementOf, scored } from './judgement.ts'

const having = (judgement: Judgement, parts: JudgedParts): Judgement => ({ ...judgement, parts })

const behind = (condition: Reward<never>, reward: Reward<never>): CompoundReward<Columns> => ({
  name: reward.name,
  config: { kind: 'gate', condition: condition.config, reward: reward.config },
  score: (judged) => async () => {
    const open = await judgementOf(condition, judged)
    const at = { condition: open }
    if (open._tag === 'Failed') return failed(`condition ${condition.name}: ${open.why}`, open.elapsedMs, at)
    if (open._tag === 'Abstained') return abstained(`condition ${condition.name}: ${open.why}`, at)
    if (open.value <= 0) return scored(0, { closedBy: condition.name }, at)
    const judgement = await judgementOf(reward, judged)
    return having(judgement, { ...at, [reward.name]: judgement })
  },
  [keepsTime]: true,
  [structure]: {
    rewards: { condition, reward },
    named: true,
    weights: {},
    rebuild: (others) => behind(others.condition!, others.reward!) as Reward<never>,
  },
})

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

const firstOf = (rewards: Rewards, name: string): CompoundReward<Columns> => ({
  name,
  config: {
    kind: 'firstThatSpeaks',
    name,
    rewards: Object.entries(rewards).map(([part, { config }]) => [part, config]),
  },
  score: (judged) => async () => {
    const parts: Record<string, Judgement> = {}
    for (const [part, reward] of Object.entries(rewards)) {
      const judgement = await judgementOf(reward, judged)
      parts[part] = judgement
      if (judgement._tag === 'Failed') return failed(`${part}: ${judgement.why}`, judgement.elapsedMs, parts)
      if (judgement._tag === 'Scored')
        return scored(judgement.value, { ...judgement.evidence, saidBy: part }, parts)
    }
    return abstained(
      Object.entries(parts)
        .map(([part, judgement]) => `${part}: ${'why' in judgement ? judgement.why : ''}`)
        .join('; '),
      parts,
    )
  },
  [keepsTime]: true,
  [structure]: {
    ...{ rewards, named: true, weights: {} },
    rebuild: (others) => firstOf(others, name) as Reward<never>,
  },
})

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
