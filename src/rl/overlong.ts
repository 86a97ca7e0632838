/**
 * Overlong filtering (DAPO, ablation): an answer that was cut off says nothing of how it would have ended.
 *
 * @since 0.1.0
 */
import type { Completion } from './completion.ts'

/**
 * Whether a completion's tokens count in the loss: all of one that ended by itself, none of one that was cut off. Its reward
 * still counts in its group's mean.
 */
export const counts = (completion: Pick<Completion, 'stop'>, filterOverlong: boolean): boolean =>
  !(filterOverlong && completion.stop === 'length')
