/**
 * States of which a call replaces a small part. The few new numbers leave the graph, and the state's own array takes them
 * in; carrying the whole state out would cost more than the call.
 */
import { elements, findAxis, type Tensor, type Variant } from '../../dsl/index.ts'
import { stateWrites } from '../state-writes.ts'
import type { Data } from '../values.ts'

/** One state's overwriting; `V` is a graph node, or what stands for it. */
export interface Overwrite<V> {
  readonly state: string
  readonly where: V
  readonly value: V
  readonly layout: Layout
}

/**
 * How the parts lie: the state is `count` blocks of `block` elements; block i takes a new value where `where[i-th]` says
 * so. Index arithmetic is one term an outer dimension.
 */
export interface Layout {
  /** Sizes of the dimensions that are walked, outermost first. */
  readonly outer: readonly number[]
  /** What one step in each of them moves in `where` and in `value`; 0 where it is repeated. */
  readonly whereStrides: readonly number[]
  readonly valueStrides: readonly number[]
  /** Elements side by side that share one condition. */
  readonly block: number
  /** Whether the value has one element for a whole block. */
  readonly filled: boolean
}

/** Steps of an operand along each of these axes of the whole. */
const strides = (whole: Tensor, x: Tensor): number[] =>
  whole.axes.map((a) => {
    const i = x.axes.findIndex((b) => b.name === a.name)
    return i < 0 ? 0 : elements(x.axes.slice(i + 1))
  })

const layoutOf = (whole: Tensor, where: Tensor, value: Tensor): Layout | undefined => {
  const last = whole.axes.findLastIndex((a) => findAxis(where, a.name) !== undefined)
  const inner = whole.axes.slice(last + 1)
  const given = inner.filter((a) => findAxis(value, a.name) !== undefined)
  if (given.length !== 0 && given.length !== inner.length) return undefined
  return {
    outer: whole.axes.slice(0, last + 1).map((a) => a.size),
    whereStrides: strides(whole, where).slice(0, last + 1),
    valueStrides: strides(whole, value).slice(0, last + 1),
    block: elements(inner),
    filled: given.length === 0,
  }
}

/** The states that a variant overwrites in part, where the parts are at most a quarter of the state. */
export const overwrites = (variant: Variant): readonly Overwrite<Tensor>[] =>
  stateWrites(variant).flatMap(({ key, next, where, value }) => {
    if (4 * (elements(where.axes) + elements(value.axes)) > elements(next.axes)) return []
    const layout = layoutOf(next, where, value)
    return layout === undefined ? [] : [{ state: key, where, value, layout }]
  })

/** Writes the new values into the state's array. */
export const overwrite = (state: Data, where: Data, value: Data, l: Layout): void => {
  const walk = (depth: number, at: number, w: number, v: number): void => {
    if (depth < l.outer.length) {
      const rest = l.outer.slice(depth + 1).reduce((n, s) => n * s, 1)
      for (let i = 0; i < l.outer[depth]!; i++)
        walk(depth + 1, at + i * rest, w + i * l.whereStrides[depth]!, v + i * l.valueStrides[depth]!)
      return
    }
    if (where[w] === 0) return
    const start = at * l.block
    if (l.filled) state.fill(value[v]!, start, start + l.block)
    else state.set(value.subarray(v, v + l.block), start)
  }
  walk(0, 0, 0, 0)
}
