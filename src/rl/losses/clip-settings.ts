/**
 * The settings that policy losses share.
 *
 * @since 0.1.0
 */
import { onlySettings } from '../../settings/index.ts'
import { numberSetting, RecipeError } from '../../train/index.ts'
import type { ClipRange } from './clipped.ts'
import type { Corrections } from './corrections.ts'

/** Bounds of the ratio, and corrections. */
export interface ClipSettings extends Partial<ClipRange>, Corrections {}

const names: readonly string[] = ['low', 'high', 'dual', 'truncate', 'referenceKl']

/**
 * @param own names of the settings that the loss has beside these
 * @throws RecipeError where a bound is out of its range, or there is a setting that is none
 */
export const checkedClip = (
  loss: string,
  given: ClipSettings,
  otherwise: ClipRange,
  own: readonly string[] = [],
): ClipRange => {
  onlySettings(loss, given, [...names, ...own])
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
