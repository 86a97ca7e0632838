/**
 * States of which a call replaces a part. The new numbers leave the graph, and the state's own array takes them in;
 * carrying the whole state out would cost more than the call.
 */
import { type Axis, type Data, elements, findAxis, type Tensor, type Variant } from '../../dsl/index.ts'
import {
  type RowWrite,
  rowWrite,
  type SlotWrite,
  type StateWrite,
  slotWrite,
  stateWrites,
} from '../state-writes.ts'

/** One overwriting of a state; `V` is a graph node, or what stands for it. Those of one state follow in their order. */
export interface Overwrite<V> {
  readonly state: string
  /** What the layout's kind reads. */
  readonly inputs: readonly V[]
  readonly layout: Layout
}

/** Which parts are replaced, and how they lie. */
export type Layout = MaskLayout | SlotLayout | RowLayout

/**
 * Reads where, value. The state is blocks of `block` elements; block i takes a new value where `where[i-th]` says so. Index
 * arithmetic is one term an outer dimension.
 */
interface MaskLayout {
  readonly kind: 'mask'
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

/** Reads place, value. The state is rows of `slots` blocks; in row i the block at the place takes a new value. */
interface SlotLayout {
  readonly kind: 'slot'
  /** Where row i's place and its value begin. */
  readonly placeAt: Int32Array
  readonly valueAt: Int32Array
  readonly slots: number
  readonly block: number
}

/**
 * Reads where, index, table. Row i takes the table's row `index[i]` where `where[i]` says so. A row is `pieces` of `piece`
 * elements, of which the table holds the first `given`; the others become 0.
 */
interface RowLayout {
  readonly kind: 'row'
  readonly pieces: number
  readonly piece: number
  readonly given: number
}

/** Steps of an operand along each of these axes of the whole. */
const strides = (whole: readonly Axis[], x: Tensor): number[] =>
  whole.map((a) => {
    const i = x.axes.findIndex((b) => b.name === a.name)
    return i < 0 ? 0 : elements(x.axes.slice(i + 1))
  })

const maskLayout = ({ next, where, value }: StateWrite): MaskLayout | undefined => {
  const last = next.axes.findLastIndex((a) => findAxis(where, a.name) !== undefined)
  const inner = next.axes.slice(last + 1)
  const given = inner.filter((a) => findAxis(value, a.name) !== undefined)
  if (given.length !== 0 && given.length !== inner.length) return undefined
  return {
    kind: 'mask',
    outer: next.axes.slice(0, last + 1).map((a) => a.size),
    whereStrides: strides(next.axes, where).slice(0, last + 1),
    valueStrides: strides(next.axes, value).slice(0, last + 1),
    block: elements(inner),
    filled: given.length === 0,
  }
}

/** Where an operand stands for each element under these axes, row-major. */
const offsets = (axes: readonly Axis[], x: Tensor): Int32Array => {
  const steps = strides(axes, x)
  return Int32Array.from({ length: elements(axes) }, (_, i) => {
    let [at, rest] = [0, i]
    for (let d = axes.length - 1; d >= 0; d--) {
      at += (rest % axes[d]!.size) * steps[d]!
      rest = Math.floor(rest / axes[d]!.size)
    }
    return at
  })
}

const slotLayout = (w: SlotWrite): SlotLayout | undefined =>
  w.after.every((a) => findAxis(w.value, a.name) !== undefined)
    ? {
        kind: 'slot',
        placeAt: offsets(w.before, w.place),
        valueAt: offsets(w.before, w.value),
        slots: w.slot.size,
        block: elements(w.after),
      }
    : undefined

/** The table without the zeros that are added behind, where they are. */
const rowOverwrite = ({ key, where, index, table }: RowWrite): Overwrite<Tensor> => {
  const padded = table.op.op === 'pad' && table.op.before === 0 ? table.inputs[0]! : table
  const along = table.axes.findIndex((a, i) => a.size !== padded.axes[i]!.size)
  // the first axis is what the index counts
  const of = along > 0 ? padded : table
  const at = Math.max(1, along)
  const layout: RowLayout = {
    kind: 'row',
    pieces: elements(table.axes.slice(1, at)),
    piece: elements(table.axes.slice(at)),
    given: elements(of.axes.slice(at)),
  }
  return { state: key, inputs: [where, index, of], layout }
}

const overwriteOf = (w: StateWrite): Overwrite<Tensor> | undefined => {
  const rows = rowWrite(w)
  if (rows !== undefined) return rowOverwrite(rows)
  const slot = slotWrite(w)
  const slots = slot === undefined ? undefined : slotLayout(slot)
  if (slot !== undefined && slots !== undefined)
    return { state: w.key, inputs: [slot.place, slot.value], layout: slots }
  const layout = maskLayout(w)
  return layout === undefined ? undefined : { state: w.key, inputs: [w.where, w.value], layout }
}

/** The states that a variant overwrites in part: by whole rows, or by parts that are at most a quarter of the state. */
export const overwrites = (variant: Variant): readonly Overwrite<Tensor>[] =>
  stateWrites(variant).flatMap((writes) => {
    const all = writes.flatMap((w) => overwriteOf(w) ?? [])
    const parts = all
      .filter((o) => o.layout.kind !== 'row')
      .flatMap((o) => o.inputs)
      .reduce((n, t) => n + elements(t.axes), 0)
    return all.length === writes.length && 4 * parts <= elements(writes[0]!.next.axes) ? all : []
  })

/** Up to this many elements are copied faster one by one than by a call. */
const few = 64

const copy = (from: Data, at: number, to: Data, start: number, count: number): void => {
  if (count > few) to.set(from.subarray(at, at + count), start)
  else for (let i = 0; i < count; i++) to[start + i] = from[at + i]!
}

const overwriteMasked = (state: Data, where: Data, value: Data, l: MaskLayout): void => {
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
    else copy(value, v, state, start, l.block)
  }
  walk(0, 0, 0, 0)
}

/** Writes the new values into the state's array. */
export const overwrite = (state: Data, [a, b, c]: readonly Data[], l: Layout): void => {
  switch (l.kind) {
    case 'mask':
      overwriteMasked(state, a!, b!, l)
      return
    case 'slot':
      for (let i = 0; i < l.placeAt.length; i++) {
        const place = a![l.placeAt[i]!]!
        if (place >= 0 && place < l.slots)
          copy(b!, l.valueAt[i]!, state, (i * l.slots + place) * l.block, l.block)
      }
      return
    case 'row':
      for (let i = 0; i < a!.length; i++) {
        if (a![i] === 0) continue
        for (let k = 0; k < l.pieces; k++) {
          const start = (i * l.pieces + k) * l.piece
          copy(c!, (b![i]! * l.pieces + k) * l.given, state, start, l.given)
          state.fill(0, start + l.given, start + l.piece)
        }
      }
  }
}
