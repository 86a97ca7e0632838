/**
 * Dr. GRPO (arXiv 2503.20783): GRPO without its favour for short right and long wrong answers.
 *
 * @since 0.1.0
 */
import { wholeSetting } from '../../train/index.ts'
import { type ClipSettings, checkedClip } from './clip-settings.ts'
import { clipped } from './clipped.ts'
import { checkedCorrections, corrected } from './corrections.ts'
import { constantMean } from './mean.ts'
import { measured } from './measured.ts'
import type { PolicyLoss } from './policy-loss.ts'
import { tokenRatio } from './ratio.ts'

/** Settings of {@link drGrpo}. */
export interface DrGrpoSettings extends ClipSettings {
  /** What the tokens of each completion are divided by, whatever its length: the most that an answer may have. */
  readonly tokens: number
}

/**
 * The loss of Dr. GRPO; it goes with advantages that are not divided by their spread. Bounds by default 0.2 on both sides.
 *
 * @throws RecipeError where a setting is out of its range
 * @category losses
 */
export const drGrpo = (settings: DrGrpoSettings): PolicyLoss => {
  const clip = checkedClip('drGrpo', settings, { low: 0.2, high: 0.2 }, ['tokens'])
  const tokens = wholeSetting('drGrpo', 'tokens', settings.tokens, 1)
  const { config, reads } = checkedCorrections('drGrpo', settings)
  return {
    ...{ name: 'drGrpo', config: { kind: 'drGrpo', tokens, ...clip, ...config }, reads },
    terms: (x) => {
      const surrogate = clipped(tokenRatio(x), x.advantages, clip)
      return {
        ...constantMean(corrected(surrogate.loss, x, config), x.mask, tokens),
        stepMetrics: measured(x, surrogate),
      }
    },
  }
}
