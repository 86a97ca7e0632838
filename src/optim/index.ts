/**
 * Optimizers as graph, schedules as functions.
 *
 * @since 0.1.0
 */
export * from './ada-lrs.ts'
export * from './ada-lrs-operator.ts'
export * from './adamw.ts'
export * from './clip.ts'
export * from './ema.ts'
export * from './lora.ts'
export * from './lora-adapter.ts'
export * from './lora-merge.ts'
export * from './muon.ts'
export {
  type AdamWithSettings,
  adamWith,
  groupOf,
  type Optimizer,
  OptimizerError,
  type ParameterGroup,
  unmatchedGroups,
} from './optimizer.ts'
export * from './schedules.ts'
export * from './soup.ts'
export * from './soup-files.ts'
export * from './state-keys.ts'
