/**
 * The losses of the field. Each is a clipped surrogate; they differ in what their ratio is of, in its bounds, and in how tokens
 * become one number.
 *
 * @since 0.1.0
 */
import type { Tensor } from '../../dsl/index.ts'
import { onlySettings } from '../../settings/index.ts'
import { type Fraction, numberSetting, RecipeError, wholeSetting } from '../../train/index.ts'
import { type ClipRange, clipped, measured } from './clipped.ts'
import { type Corrections, checkedCorrections, corrected } from './corrections.ts'
import { constantMean, sequenceMean, tokenMean } from './mean.ts'
import type { PolicyLoss, PolicyTensors } from './policy-loss.ts'
import { sequenceRatio, sequenceTokenRatio, tokenRatio } from './ratio.ts'

/** Bounds of the ratio, and corrections. */
export interface ClipSettings extends Partial<ClipRange>, Corrections {}

const names = ['low', 'high', 'dual', 'truncate', 'referenceKl']

/** Bounds as data. @throws RecipeError where one is out of its range */
const checkedClip = (loss: string, given: ClipSettings, otherwise: ClipRange): ClipRange => {
  const low = numberSetting(loss, 'low', given.low ?? otherwise.low)
  const high = numberSetting(loss, 'high', given.high ?? otherwise.high)
  if (low > 1) throw new RecipeError(loss, 'low', `it is ${low}; give at most 1, since no ratio is below 0`)
  if (given.dual === undefined) return { low, high }
  const dual = numberSetting(loss, 'dual', given.dual, true)
  if (dual <= 1 + high)
    throw new RecipeError(
      loss,
      'dual',
      `it is ${dual}; give more than 1 + high, which is ${1 + high}, such as 3`,
    )
  return { low, high, dual }
}

/** In what one surrogate differs from the others. */
interface Surrogate {
  /** Where the settings give none. */
  readonly bounds: ClipRange
  readonly ratio: (x: PolicyTensors) => Tensor
  readonly mean: (values: Tensor, mask: Tensor) => Fraction
  /** What its configuration has beside bounds and corrections. */
  readonly own?: object
}

const surrogate = (
  kind: string,
  settings: ClipSettings,
  { bounds, ratio, mean, own }: Surrogate,
): PolicyLoss => {
  const clip = checkedClip(kind, settings, bounds)
  const corrections = checkedCorrections(kind, settings)
  return {
    ...{ name: kind, config: { kind, ...own, ...clip, ...corrections } },
    reads: {
      sampling: corrections.truncate !== undefined,
      reference: corrections.referenceKl !== undefined,
    },
    terms: (x) => {
      const of = clipped(ratio(x), x.advantages, clip)
      return { ...mean(corrected(of.loss, x, corrections), x.mask), stepMetrics: measured(x, of) }
    },
  }
}

/**
 * The loss of DAPO (arXiv 2503.14476): bounds of the ratio of their own on each side, each token counts alike, no penalty on
 * leaving a reference. Bounds by default 0.20 below and 0.28 above 1, as SAIL-VL2 names them (§4.2.3).
 *
 * @throws RecipeError where a setting is out of its range
 * @category losses
 */
export const dapo = (settings: ClipSettings = {}): PolicyLoss => {
  onlySettings('dapo', settings, names)
  const bounds = { low: 0.2, high: 0.28 }
  return surrogate('dapo', settings, { bounds, ratio: tokenRatio, mean: tokenMean })
}

/** GRPO bounds both sides alike. */
const even = { low: 0.2, high: 0.2 }

/**
 * The loss of GRPO (arXiv 2402.03300): the same bound on both sides, each completion counts alike. Bounds by default 0.2 on both
 * sides; `referenceKl` is its β.
 *
 * @throws RecipeError where a setting is out of its range
 * @category losses
 */
export const grpo = (settings: ClipSettings = {}): PolicyLoss => {
  onlySettings('grpo', settings, names)
  return surrogate('grpo', settings, { bounds: even, ratio: tokenRatio, mean: sequenceMean })
}

/** Settings of {@link drGrpo}. */
export interface DrGrpoSettings extends ClipSettings {
  /** What the tokens of each completion are divided by, whatever its length: the most that an answer may have. */
  readonly tokens: number
}

/**
 * The loss of Dr. GRPO (arXiv 2503.20783): GRPO without its favour for short right and long wrong answers; it goes with
 * advantages that are not divided by their spread. Bounds by default 0.2 on both sides.
 *
 * @throws RecipeError where a setting is out of its range
 * @category losses
 */
export const drGrpo = (settings: DrGrpoSettings): PolicyLoss => {
  onlySettings('drGrpo', settings, [...names, 'tokens'])
  const tokens = wholeSetting('drGrpo', 'tokens', settings.tokens, 1)
  const mean: Surrogate['mean'] = (values, mask) => constantMean(values, mask, tokens)
  return surrogate('drGrpo', settings, { bounds: even, ratio: tokenRatio, mean, own: { tokens } })
}

/** A mean over a completion's tokens varies far less than a token does. */
const narrow = { low: 3e-4, high: 4e-4 }

/**
 * The loss of GSPO (arXiv 2507.18071): one ratio a completion, which is clipped as a whole. Bounds by default 3e-4 below and 4e-4
 * above 1.
 *
 * @throws RecipeError where a setting is out of its range
 * @category losses
 */
export const gspo = (settings: ClipSettings = {}): PolicyLoss => {
  onlySettings('gspo', settings, names)
  return surrogate('gspo', settings, { bounds: narrow, ratio: sequenceRatio, mean: sequenceMean })
}

/**
 * The loss of GSPO-token (arXiv 2507.18071), GSPO's variant with an advantage for each token: where all tokens of a completion
 * have one advantage, the values and the gradients of GSPO. Bounds by default as there.
 *
 * @throws RecipeError where a setting is out of its range
 * @category losses
 */
export const gspoToken = (settings: ClipSettings = {}): PolicyLoss => {
  onlySettings('gspoToken', settings, names)
  return surrogate('gspoToken', settings, {
    ...{ bounds: narrow, ratio: sequenceTokenRatio, mean: sequenceMean },
  })
}
