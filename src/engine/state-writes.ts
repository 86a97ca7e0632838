/**
 * States of which a call replaces elements and keeps the others: `next = select(where, value, state)`, as a key-value
 * cache takes in one token. Both engines write such states where they lie, each in its own way.
 */
import type { Tensor, Variant } from '../dsl/index.ts'

/** One state's new elements. */
export interface StateWrite {
  readonly key: string
  /** The node that is the state's next value, under the state's axes. */
  readonly next: Tensor
  /** bool: which elements are replaced; under some of the axes. */
  readonly where: Tensor
  /** By what; under some of the axes. */
  readonly value: Tensor
}

/** The writes among the next states of a narrow variant. */
export const stateWrites = (variant: Variant): readonly StateWrite[] =>
  [...variant.next].flatMap(([key, next]) => {
    if (next.op.op !== 'select') return []
    const [where, value, old] = next.inputs as readonly [Tensor, Tensor, Tensor]
    const isOld = old.op.op === 'state' && old.op.key === key && old.axes.length === next.axes.length
    return isOld ? [{ key, next, where, value }] : []
  })
