/**
 * How long a completion is, in tokens.
 *
 * @since 0.1.0
 */
import { onlySettings } from '../../settings/index.ts'
import { numberSetting, RecipeError, wholeSetting } from '../../train/index.ts'
import type { Reward } from '../reward.ts'
import type { Columns } from '../task.ts'
import { type CompoundReward, wrapped } from './compound.ts'
import { scored } from './judgement.ts'

/**
 * 1 where a completion has `least` (default 1) to `most` tokens, else 0.
 *
 * @throws RecipeError where the bounds are none
 * @category rewards
 */
export const length = (o: { readonly least?: number; readonly most: number }): Reward => {
  onlySettings('length', o, ['least', 'most'])
  const least = wholeSetting('length', 'least', o.least ?? 1, 0)
  const most = wholeSetting('length', 'most', o.most, least)
  return {
    name: 'length',
    config: { kind: 'length', least, most },
    score:
      ({ completion: { ids } }) =>
      async () =>
        scored(ids.length >= least && ids.length <= most ? 1 : 0, { tokens: ids.length }),
  }
}

/** Settings of {@link softOverlong}. */
export interface SoftOverlongOptions {
  /** Tokens that a completion may have, L_max. */
  readonly maxLength: number
  /** Tokens below that in which the punishment grows, L_cache; 0: none. */
  readonly cache: number
}

/**
 * The soft overlong punishment, from 0 down to −1 (DAPO, eq. 13): 0 up to L_max − L_cache tokens, then
 * ((L_max − L_cache) − length) / L_cache, and −1 above L_max. It is added to the reward of the answer.
 *
 * @example
 * softOverlong({ maxLength: 20480, cache: 4096 }).name // 'softOverlong'
 *
 * @throws RecipeError where a length is none, or the cache is longer than all
 * @category rewards
 */
export const softOverlong = (o: SoftOverlongOptions): Reward => {
  onlySettings('softOverlong', o, ['maxLength', 'cache'])
  const maxLength = wholeSetting('softOverlong', 'maxLength', o.maxLength, 1)
  const cache = wholeSetting('softOverlong', 'cache', o.cache, 0)
  if (cache > maxLength)
    throw new RecipeError('softOverlong', 'cache', `${cache} is above maxLength, ${maxLength}`)
  const free = maxLength - cache
  return {
    name: 'softOverlong',
    config: { kind: 'softOverlong', maxLength, cache },
    score:
      ({ completion: { ids } }) =>
      async () => {
        const value = ids.length <= free ? 0 : ids.length > maxLength ? -1 : (free - ids.length) / cache
        return scored(value, { tokens: ids.length, free })
      },
  }
}

/** Settings of {@link cosineScaled}. */
export interface CosineOptions {
  /** The length at which the value has gone all its way. */
  readonly maxLength: number
  /** The value of a right completion without a token, and of one of `maxLength`. Default [1, 0.5]. */
  readonly right?: readonly [shortest: number, longest: number]
  /** The same of a wrong completion. Default [−1, −0.5]. */
  readonly wrong?: readonly [shortest: number, longest: number]
}

/**
 * A value between two by the cosine of the length, for right completions (the reward is above 0) and wrong ones: of right
 * ones the short are worth more, of wrong ones the long (TRL's cosine-scaled reward).
 *
 * @throws RecipeError where the length is none
 * @category rewards
 */
export const cosineScaled = (o: CosineOptions) => {
  onlySettings('cosineScaled', o, ['maxLength', 'right', 'wrong'])
  const maxLength = numberSetting('cosineScaled', 'maxLength', o.maxLength, true)
  return <C extends Columns>(reward: Reward<C>): CompoundReward<C> => {
    const [right, wrong] = [o.right ?? [1, 0.5], o.wrong ?? [-1, -0.5]]
    return wrapped(
      reward,
      (of) => ({ kind: 'cosineScaled', maxLength, right, wrong, reward: of }),
      (judgement, { completion }) => {
        if (judgement._tag !== 'Scored') return judgement
        const [shortest, longest] = judgement.value > 0 ? right : wrong
        const tokens = completion.ids.length
        const value = longest + 0.5 * (shortest - longest) * (1 + Math.cos((tokens / maxLength) * Math.PI))
        return scored(value, { ...judgement.evidence, tokens }, { [reward.name]: judgement })
      },
    )
  }
}
