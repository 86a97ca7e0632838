/**
 * The keys of states that a stage keeps beside weights: gradients that add up between updates, weights as they were when it began.
 *
 * @since 0.1.0
 */

/** The state in which the gradient of a parameter is added up. */
export const gradientKey = (key: string): string => `gradient.${key}`

/** The state in which the loss of micro-batches is added up, before any mean is taken. */
export const accumulatedSum = 'accumulated.sum'

/** The state in which their weight is added up. */
export const accumulatedWeight = 'accumulated.weight'

/** The state in which a sum over the whole update is added up, by the sum's name; `weight` is that of all micro-batches. */
export const accumulatedBatch = (name: string): string => `accumulated.batch.${name}`

/** Whether a state holds what is being added up: 0 between updates, and no part of a checkpoint. */
export const isGradientKey = (key: string): boolean =>
  key.startsWith(gradientKey('')) ||
  key.startsWith(accumulatedBatch('')) ||
  key === accumulatedSum ||
  key === accumulatedWeight

/** The state that keeps a weight as it was. */
export const referenceKey = (key: string): string => `reference.${key}`

/** Whether a state keeps a weight as it was: it is part of a checkpoint inside a stage, and of no model. */
export const isReferenceKey = (key: string): boolean => key.startsWith(referenceKey(''))

/** The state of a weight that is read and never learns, of frozen weights by the name of their owner. */
export const frozenKey = (owner: string, key: string): string => `frozen:${owner}.${key}`

/** Whether a state is a weight that comes from elsewhere and never learns: it is part of no checkpoint and of no model. */
export const isFrozenKey = (key: string): boolean => key.startsWith('frozen:')
