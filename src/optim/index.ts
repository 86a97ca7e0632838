/**
 * Optimizers as graph, schedules as functions.
 *
 * @since 0.1.0
 */
export {
  type AdamWSettings,
  adamW,
  decays,
  firstMomentKey,
  isOptimizerKey,
  StepKey,
  secondMomentKey,
  type Update,
} from './adamw.ts'
export { type Clipped, clipByGlobalNorm, globalNorm } from './clip.ts'
export { type Part, parts, trainable } from './trainable.ts'
