/**
 * GRPO (arXiv 2402.03300): the same bound on both sides, each completion counts alike.
 *
 * @since 0.1.0
 */
import { type ClipSettings, checkedClip } from './clip-settings.ts'
import { clipped } from './clipped.ts'
import { checkedCorrections, corrected } from './corrections.ts'
import { sequenceMean } from './mean.ts'
import { measured } from './measured.ts'
import type { PolicyLoss } from './policy-loss.ts'
import { tokenRatio } from './ratio.ts'

/**
 * The loss of GRPO. Bounds by default 0.2 on both sides; `referenceKl` is its β.
 *
 * @throws RecipeError where a setting is out of its range
 * @category losses
 */
export const grpo = (settings: ClipSettings = {}): PolicyLoss => {
  const clip = checkedClip('grpo', settings, { low: 0.2, high: 0.2 })
  const { config, reads } = checkedCorrections('grpo', settings)
  return {
    ...{ name: 'grpo', config: { kind: 'grpo', ...clip, ...config }, reads },
    terms: (x) => {
      const surrogate = clipped(tokenRatio(x), x.advantages, clip)
      return {
        ...sequenceMean(corrected(surrogate.loss, x, config), x.mask),
        stepMetrics: measured(x, surrogate),
      }
    },
  }
}
