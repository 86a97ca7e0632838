/**
 * A punishment for saying the same again and again.
 *
 * @since 0.1.0
 */
import { onlySettings } from '../../settings/index.ts'
import { RecipeError, wholeSetting } from '../../train/index.ts'
import type { Reward } from '../reward.ts'
import { repeatedShare } from '../verify/index.ts'
import { scored } from './judgement.ts'

/** Settings of {@link repetition}. */
export interface RepetitionOptions {
  /** Entries of an n-gram; default 3. */
  readonly size?: number
  /** The value where everything repeats, at most 0; default −1. */
  readonly penalty?: number
  /** What is counted: tokens, or words in small letters. Default `token`. */
  readonly unit?: 'token' | 'word'
}

/**
 * The penalty times the share of n-grams that a completion has said before: from 0 down to `penalty`.
 *
 * @throws RecipeError where the size is none or the penalty above 0
 * @category rewards
 */
export const repetition = (o: RepetitionOptions = {}): Reward => {
  onlySettings('repetition', o, ['size', 'penalty', 'unit'])
  const size = wholeSetting('repetition', 'size', o.size ?? 3, 1)
  const penalty = o.penalty ?? -1
  const unit = o.unit ?? 'token'
  if (!(penalty <= 0 && Number.isFinite(penalty)))
    throw new RecipeError('repetition', 'penalty', `it is ${penalty}; give a finite number of at most 0`)
  return {
    name: 'repetition',
    config: { kind: 'repetition', size, penalty, unit },
    score:
      ({ completion: { ids, text } }) =>
      async () => {
        const entries =
          unit === 'token'
            ? ids
            : text
                .toLowerCase()
                .split(/\s+/)
                .filter((word) => word !== '')
        const share = repeatedShare(entries, size)
        return scored(share === 0 ? 0 : penalty * share, { share })
      },
  }
}
