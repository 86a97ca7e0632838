/**
 * GSPO (arXiv 2507.18071): one ratio a completion, which is clipped as a whole.
 *
 * @since 0.1.0
 */
import { type ClipSettings, checkedClip } from './clip-settings.ts'
import { clipped } from './clipped.ts'
import { checkedCorrections, corrected } from './corrections.ts'
import { sequenceMean } from './mean.ts'
import { measured } from './measured.ts'
import type { PolicyLoss } from './policy-loss.ts'
import { sequenceRatio } from './ratio.ts'

/**
 * The loss of GSPO. Bounds by default 3e-4 below and 4e-4 above 1: a mean over a completion's tokens varies far less than a
 * token does.
 *
 * @throws RecipeError where a setting is out of its range
 * @category losses
 */
export const gspo = (settings: ClipSettings = {}): PolicyLoss => {
  const clip = checkedClip('gspo', settings, { low: 3e-4, high: 4e-4 })
  const { config, reads } = checkedCorrections('gspo', settings)
  return {
    ...{ name: 'gspo', config: { kind: 'gspo', ...clip, ...config }, reads },
    terms: (x) => {
      const surrogate = clipped(sequenceRatio(x), x.advantages, clip)
      return {
        ...sequenceMean(corrected(surrogate.loss, x, config), x.mask),
        stepMetrics: measured(x, surrogate),
      }
    },
  }
}
