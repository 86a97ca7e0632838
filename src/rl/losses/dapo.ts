/**
 * DAPO (arXiv 2503.14476): bounds of the ratio of their own on each side, each token counts alike, no penalty on leaving a
 * reference.
 *
 * @since 0.1.0
 */
import { type ClipSettings, checkedClip } from './clip-settings.ts'
import { clipped } from './clipped.ts'
import { checkedCorrections, corrected } from './corrections.ts'
import { tokenMean } from './mean.ts'
import { measured } from './measured.ts'
import type { PolicyLoss } from './policy-loss.ts'
import { tokenRatio } from './ratio.ts'

/**
 * The loss of DAPO. Bounds by default 0.20 below and 0.28 above 1, as SAIL-VL2 names them (§4.2.3).
 *
 * @throws RecipeError where a setting is out of its range
 * @category losses
 */
export const dapo = (settings: ClipSettings = {}): PolicyLoss => {
  const clip = checkedClip('dapo', settings, { low: 0.2, high: 0.28 })
  const { config, reads } = checkedCorrections('dapo', settings)
  return {
    ...{ name: 'dapo', config: { kind: 'dapo', ...clip, ...config }, reads },
    terms: (x) => {
      const surrogate = clipped(tokenRatio(x), x.advantages, clip)
      return {
        ...tokenMean(corrected(surrogate.loss, x, config), x.mask),
        stepMetrics: measured(x, surrogate),
      }
    },
  }
}
