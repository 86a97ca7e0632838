/**
 * GSPO-token (arXiv 2507.18071): a completion's ratio and bounds, with an advantage for each token.
 *
 * @since 0.1.0
 */
import { type ClipSettings, checkedClip } from './clip-settings.ts'
import { clipped } from './clipped.ts'
import { checkedCorrections, corrected } from './corrections.ts'
import { sequenceMean } from './mean.ts'
import { measured } from './measured.ts'
import type { PolicyLoss } from './policy-loss.ts'
import { sequenceTokenRatio } from './ratio.ts'

/**
 * The loss of GSPO's token variant: where all tokens of a completion have one advantage, the values and the gradients of
 * GSPO. Bounds by default as there.
 *
 * @throws RecipeError where a setting is out of its range
 * @category losses
 */
export const gspoToken = (settings: ClipSettings = {}): PolicyLoss => {
  const clip = checkedClip('gspoToken', settings, { low: 3e-4, high: 4e-4 })
  const { config, reads } = checkedCorrections('gspoToken', settings)
  return {
    ...{ name: 'gspoToken', config: { kind: 'gspoToken', ...clip, ...config }, reads },
    terms: (x) => {
      const surrogate = clipped(sequenceTokenRatio(x), x.advantages, clip)
      return {
        ...sequenceMean(corrected(surrogate.loss, x, config), x.mask),
        stepMetrics: measured(x, surrogate),
      }
    },
  }
}
