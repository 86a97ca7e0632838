/**
 * Advantages: what a completion is worth against the others of its group.
 *
 * @since 0.1.0
 */
import { onlySettings } from '../settings/index.ts'
import { settingName } from '../settings/internal.ts'
import { numberSetting } from '../train/index.ts'
import { wordSetting } from '../train/internal.ts'

/** How rewards of a group become advantages. */
export interface AdvantageSettings {
  /**
   * `std`: (reward − mean) / (standard deviation + epsilon), as GRPO and DAPO have it; `none`: reward − mean, as Dr. GRPO
   * has it, which favours neither easy nor hard tasks. Default `std`.
   */
  readonly scale?: 'std' | 'none'
  /** Keeps the division finite: 1e-4 as in TRL (the default), 1e-6 as in verl. */
  readonly epsilon?: number
  /** What the advantages of a family's tasks are multiplied by; default 1 each. */
  readonly families?: Readonly<Record<string, number>>
  /**
   * What the advantages of steps are multiplied by, where a reward judges steps (`stepAdvantages`), before they are added to
   * that of their completion; default 0: steps are not learnt from. The objective has to have `steps: true`. An episode's
   * steps are compared with one another, so `groupAdvantages` leaves them to `withStepAdvantages`.
   */
  readonly steps?: number
}

/** The names of {@link AdvantageSettings}. */
export const advantageNames = ['scale', 'epsilon', 'families', 'steps']

/**
 * Settings of advantages, each as it should be.
 *
 * @param within the setting that they are the value of, where they are
 * @throws RecipeError
 */
export const checkedAdvantages = (
  where: string,
  a: AdvantageSettings,
  within?: string,
): AdvantageSettings => {
  onlySettings(where, a, advantageNames, within)
  const at = (setting: string): string => settingName(setting, within)
  wordSetting(where, at('scale'), a.scale, ['std', 'none'])
  if (a.epsilon !== undefined) numberSetting(where, at('epsilon'), a.epsilon)
  if (a.steps !== undefined) numberSetting(where, at('steps'), a.steps)
  for (const [family, weight] of Object.entries(a.families ?? {}))
    numberSetting(where, at(`families.${family}`), weight)
  return a
}

/** How large a reward may be, either way: squares of what is computed of it in float32 still fit. */
export const mostReward = 1e12

/** Rewards that differ by less than this, relative to the largest or to 1, are equal: rounding is no reason to learn. */
const rounding = 1e-9

/** Whether some rewards differ by more than rounding; one alone does not. */
export const haveSpread = (rewards: readonly number[]): boolean => {
  const [low, high] = [Math.min(...rewards), Math.max(...rewards)]
  return high - low > rounding * Math.max(1, Math.abs(low), Math.abs(high))
}

/**
 * The advantages of a group. The standard deviation is that of a sample (divided by n − 1). Where all rewards are equal, or
 * there is one alone, each advantage is exactly 0. What has no reward has no advantage, and the others are compared without
 * it.
 *
 * @param rewards undefined where a verifier failed or abstained. Shape [completion]
 * @returns shape [completion]
 */
export const advantages = (
  rewards: readonly (number | undefined)[],
  settings: AdvantageSettings = {},
): readonly (number | undefined)[] => {
  const { scale = 'std', epsilon = 1e-4 } = onlySettings('advantages', settings, advantageNames)
  const known = rewards.filter((r) => r !== undefined)
  const odd = known.find((r) => !(Math.abs(r) <= mostReward))
  if (odd !== undefined)
    throw new RangeError(`advantages: a reward is ${odd}; give numbers from −1e12 to 1e12`)
  if (!haveSpread(known)) return rewards.map((r) => (r === undefined ? undefined : 0))
  const mean = known.reduce((a, b) => a + b, 0) / known.length
  const variance = known.reduce((a, r) => a + (r - mean) ** 2, 0) / (known.length - 1)
  const divisor = scale === 'none' ? 1 : Math.sqrt(variance) + epsilon
  return rewards.map((r) => (r === undefined ? undefined : (r - mean) / divisor))
}
