/**
 * What any surrogate may be corrected by: truncated importance sampling, where another policy drew the tokens than the old
 * one, and a penalty on leaving a reference.
 *
 * @since 0.1.0
 */
import { add, exp, minimum, mul, type Tensor } from '../../dsl/index.ts'
import { onlySettings } from '../../settings/index.ts'
import { numberSetting, RecipeError } from '../../train/index.ts'
import type { PolicyTensors } from './policy-loss.ts'
import { divergence, logRatio } from './ratio.ts'

/** Corrections of a surrogate; default: none. */
export interface Corrections {
  /**
   * Each token's loss is multiplied by min(π_old / π_sampling, `truncate`): truncated importance sampling, for tokens that
   * another engine or an older policy drew. 2 is usual.
   */
  readonly truncate?: number
  /** So many times {@link divergence} from the reference is added to each token's loss (β of GRPO). */
  readonly referenceKl?: number
}

/** Corrections as data. @throws RecipeError where one is no finite number, or not above 0 */
export const checkedCorrections = (loss: string, { truncate, referenceKl }: Corrections): Corrections => ({
  ...(truncate === undefined ? {} : { truncate: numberSetting(loss, 'truncate', truncate, true) }),
  ...(referenceKl === undefined ? {} : { referenceKl: numberSetting(loss, 'referenceKl', referenceKl) }),
})

const given = (what: string, t: Tensor | undefined): Tensor => {
  if (t === undefined) throw new RecipeError('policy loss', what, 'it is missing, and the loss reads it')
  return t
}

/**
 * A surrogate with its corrections, by token: first the importance weight, then the penalty, which it does not touch.
 *
 * @throws RecipeError where the log-probabilities that a correction reads are not there
 */
export const corrected = (surrogate: Tensor, x: PolicyTensors, options: Corrections): Tensor => {
  const { truncate, referenceKl } = onlySettings('corrected', options, ['truncate', 'referenceKl'])
  const weighted =
    truncate === undefined
      ? surrogate
      : mul(
          surrogate,
          minimum(exp(logRatio(x.oldLogProbs, given('samplingLogProbs', x.samplingLogProbs))), truncate),
        )
  return referenceKl === undefined
    ? weighted
    : add(weighted, mul(divergence(x.logProbs, given('referenceLogProbs', x.referenceLogProbs)), referenceKl))
}
