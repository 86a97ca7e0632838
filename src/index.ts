/**
 * Sailwright: vision-language experiments as code. Each floor is a namespace here and an export of its own
 * (`sailwright/dsl`, `sailwright/models`, …), which loads faster.
 *
 * @since 0.1.0
 */
export * as data from './data/index.ts'
export * as dsl from './dsl/index.ts'
export * as engine from './engine/index.ts'
export * as eval from './eval/index.ts'
export * as formats from './formats/index.ts'
export * as generation from './generation/index.ts'
export * as log from './log/index.ts'
export * as models from './models/index.ts'
export * as optim from './optim/index.ts'
export * as random from './random/index.ts'
export * as report from './report/index.ts'
export * as rl from './rl/index.ts'
export * as run from './run/index.ts'
export * as serve from './serve/index.ts'
export * as settings from './settings/index.ts'
export * as tasks from './tasks/index.ts'
export * as train from './train/index.ts'
