/**
 * Dynamic sampling (DAPO §3.2): groups that teach nothing are left out, with why.
 *
 * @since 0.1.0
 */
import { onlySettings } from '../settings/index.ts'
import { haveSpread } from './advantages.ts'
import type { Judgement } from './reward.ts'

/** Whether a group takes part in updates, and why not. */
export type Selection = { readonly kept: true } | { readonly kept: false; readonly why: string }

/** Which groups take part. */
export interface SelectionSettings {
  /** The fewest completions that have a reward; default 2, below which nothing can be compared. */
  readonly least?: number
}

/** The rewards of a group; undefined where a completion could not be judged. Shape [completion]. */
export const rewardsOf = (judgements: readonly Judgement[]): readonly (number | undefined)[] =>
  judgements.map((j) => (j._tag === 'Scored' && Number.isFinite(j.value) ? j.value : undefined))

/** `1`, `0.25`: as short as it can be told apart. */
const shown = (reward: number): string => String(Number(reward.toPrecision(4)))

/**
 * Keeps a group whose rewards differ, since only then one completion is better than another.
 *
 * @category operators
 */
export const selectionOf = (
  judgements: readonly Judgement[],
  settings: SelectionSettings = {},
): Selection => {
  const { least = 2 } = onlySettings('selectionOf', settings, ['least'])
  const rewards = rewardsOf(judgements).filter((r) => r !== undefined)
  if (rewards.length < least) {
    const lost = judgements.length - rewards.length
    return {
      kept: false,
      why: `${rewards.length} of ${judgements.length} completions have a reward, and ${least} are needed: ${lost} could not be judged`,
    }
  }
  return haveSpread(rewards)
    ? { kept: true }
    : { kept: false, why: `all ${rewards.length} completions have the reward ${shown(rewards[0]!)}` }
}
