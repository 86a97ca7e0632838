/**
 * Whether the answer is right, by rules.
 *
 * @since 0.1.0
 */
import { onlySettings } from '../../settings/index.ts'
import type { Reward } from '../reward.ts'
import type { Percent, Where } from '../verify/index.ts'
import { abstained } from './judgement.ts'
import { checked, type InPool } from './verified.ts'

/** A true answer, or several of which one is to be given; a task without one, or with a blank one, has none. */
export type Truth = string | number | readonly (string | number)[] | null | undefined

/** Settings of {@link answer}. */
export interface AnswerOptions<K extends string> extends InPool {
  /** The column with the true answer; default `answer`. */
  readonly column?: K
  /** Where the answer is looked for; default `box`, the last one that is closed. */
  readonly from?: Where
  /** What `28%` is; default `either`: 28 or 0.28. */
  readonly percent?: Percent
  /** Digits behind the point to which a decimal stands for a number without an end in decimals; default 6. */
  readonly decimals?: number
  /** Whether a true answer that cannot be read as mathematics makes the reward abstain; default false: it is a text. */
  readonly mathematics?: boolean
  /** What ends the thinking; the answer is looked for behind the last one. Default `</think>`. */
  readonly delimiter?: string
  /** Whether an answer without that delimiter before it is wrong; default false. */
  readonly delimited?: boolean
}

const names = ['column', 'from', 'percent', 'decimals', 'mathematics', 'delimiter', 'delimited', 'pool']

/** The true answers of a column, as texts. A blank one is none: an empty box would be right. */
export const truthsOf = (truth: Truth): readonly string[] =>
  truth === null || truth === undefined
    ? []
    : (Array.isArray(truth) ? truth : [truth]).map(String).filter((text) => text.trim() !== '')

/**
 * 1 where the answer in the last `\boxed{…}` is the true one, else 0 (SAIL-VL2, section 4.2.3): the same words, option letter
 * or mathematics, as {@link sameAnswer} compares them. Without a box it is 0; without a true answer in the task it abstains.
 *
 * @category rewards
 */
export const answer = <K extends string = 'answer'>(
  options: AnswerOptions<K> = {},
): Reward<{ readonly [N in K]: Truth }> => {
  onlySettings('answer', options, names)
  const column = options.column ?? ('answer' as K)
  const settings = {
    from: options.from ?? 'box',
    percent: options.percent ?? 'either',
    decimals: options.decimals ?? 6,
    mathematics: options.mathematics ?? false,
    delimiter: options.delimiter ?? '</think>',
    delimited: options.delimited ?? false,
  }
  return checked<'answer', { readonly [N in K]: Truth }>({
    ...{ name: 'answer', check: 'answer', config: { column, ...settings }, pool: options.pool },
    input: ({ task, completion }) => {
      const truths = truthsOf(task.columns[column])
      return truths.length === 0
        ? abstained(`the task has no ${column}`)
        : { ...settings, text: completion.text, truths }
    },
  })
}
