/**
 * Rewards that measure an answer: the option chosen, the likeness of a text, a number from a chart, a rectangle.
 *
 * The answer is what stands in the last box behind the thinking, else all of the text there.
 *
 * @since 0.1.0
 */
import { onlySettings } from '../../settings/index.ts'
import { numberSetting } from '../../train/index.ts'
import type { Reward } from '../reward.ts'
import type { Choices, Region } from '../verify/index.ts'
import { type Truth, truthsOf } from './answer.ts'
import { abstained } from './judgement.ts'
import { checked, type InPool } from './verified.ts'

/**
 * 1 where the completion chooses the option that `answer` names, by letter or words; else 0.
 *
 * @category rewards
 */
export const choice = (o: InPool = {}): Reward<{ readonly choices: Choices; readonly answer: string }> => {
  onlySettings('choice', o, ['pool'])
  return checked<'choice', { readonly choices: Choices; readonly answer: string }>({
    ...{ name: 'choice', check: 'choice', config: {}, pool: o.pool },
    input: ({ task: { columns }, completion: { text } }) => ({
      text,
      choices: columns.choices,
      truth: columns.answer,
    }),
  })
}

/**
 * The average normalised Levenshtein similarity to the nearest true answer, 0 below the threshold (default 0.5).
 *
 * @category rewards
 */
export const textSimilarity = (
  o: InPool & { readonly threshold?: number } = {},
): Reward<{ readonly answer: Truth }> => {
  onlySettings('textSimilarity', o, ['pool', 'threshold'])
  const threshold = numberSetting('textSimilarity', 'threshold', o.threshold ?? 0.5)
  return checked<'anls', { readonly answer: Truth }>({
    ...{ name: 'textSimilarity', check: 'anls', config: { threshold }, pool: o.pool },
    input: ({ task: { columns }, completion: { text } }) => {
      const truths = truthsOf(columns.answer)
      return truths.length === 0 ? abstained('the task has no answer') : { text, truths, threshold }
    },
  })
}

/**
 * 1 where the number is within a share of the true one (default 0.05, as ChartQA asks), or the text is the same; else 0.
 *
 * @category rewards
 */
export const chartNumber = (
  o: InPool & { readonly tolerance?: number } = {},
): Reward<{ readonly answer: string | number }> => {
  onlySettings('chartNumber', o, ['pool', 'tolerance'])
  const tolerance = numberSetting('chartNumber', 'tolerance', o.tolerance ?? 0.05)
  return checked<'relaxed', { readonly answer: string | number }>({
    ...{ name: 'chartNumber', check: 'relaxed', config: { tolerance }, pool: o.pool },
    input: ({ task: { columns }, completion: { text } }) => ({
      text,
      truth: String(columns.answer),
      tolerance,
    }),
  })
}

/**
 * The overlap (intersection over union) of the last rectangle in the answer with the true one, in coordinates of 0 to 1000,
 * 0 to 1 being taken for shares; with a threshold, 1 where it reaches it and else 0.
 *
 * @category rewards
 */
export const regionOverlap = (
  o: InPool & { readonly threshold?: number } = {},
): Reward<{ readonly region: Region }> => {
  onlySettings('regionOverlap', o, ['pool', 'threshold'])
  const threshold =
    o.threshold === undefined ? undefined : numberSetting('regionOverlap', 'threshold', o.threshold, true)
  const config = threshold === undefined ? {} : { threshold }
  return checked<'region', { readonly region: Region }>({
    ...{ name: 'regionOverlap', check: 'region', config, pool: o.pool },
    input: ({ task: { columns }, completion: { text } }) => ({ text, truth: columns.region, ...config }),
  })
}
