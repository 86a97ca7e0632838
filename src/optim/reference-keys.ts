/**
 * The states that keep weights as they were when a stage began.
 *
 * @since 0.1.0
 */

const prefix = 'reference.'

/** The state that keeps a weight as it was. */
export const referenceKey = (key: string): string => `${prefix}${key}`

/** Whether a state keeps a weight as it was: it is part of a checkpoint inside a stage, and of no model. */
export const isReferenceKey = (key: string): boolean => key.startsWith(prefix)
