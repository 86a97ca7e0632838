/**
 * What every rendered image has, whatever family it is of: pixels, a level, the labels of its patches.
 *
 * @since 0.1.0
 */
import type { RgbImage } from '../data/index.ts'

/** A rendered image. */
export type Image = RgbImage

/**
 * How hard a sample is; 3 is the full range of its family as the recipe's first half learns it. 4 is beyond it: longer
 * strings, more shapes, more bars, three numbers; reinforcement learns there.
 */
export type Level = 1 | 2 | 3 | 4
/** All levels, easiest first. */
export const levels: readonly Level[] = [1, 2, 3, 4]

/** Labels of the image's 14 × 14 patches, row by row, 8 × 8 of them at the nano scale. */
export interface PatchLabels {
  /** What covers the patch: an id of `patchClasses`. Shape [patch]. */
  readonly classes: Uint8Array
  /** Which thing has its middle in the patch (a bar: its end): an id of `centreClasses`. Shape [patch]. */
  readonly centres: Uint8Array
  /** The value, 0 to 20, of the bar that the patch belongs to, or -1 where there is none. Shape [patch]. */
  readonly values: Int8Array
}
