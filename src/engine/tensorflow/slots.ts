/**
 * States of which a call replaces one place a row, as a key-value cache takes in one token:
 * `next = select(equal(place, iota(slot)), value, state)`. The variable is changed where it lies; the definition would
 * copy all of it.
 */
import { type Axis, elements, findAxis, sizes, type Tensor, type Variant } from '../../dsl/index.ts'
import { attr } from '../proto/tensorflow.ts'
import { type StateWrite, stateWrites } from '../state-writes.ts'
import { type Ref, tfTypeOf } from './builder.ts'
import { repeated, type Work } from './value.ts'

/** One state's replacement: the new elements stand under the axes but the slot's. */
export interface SlotWrite extends StateWrite {
  /** int32: the place along the slot axis, under (some of) the axes before it. */
  readonly place: Tensor
  /** Axes before the slot axis, the slot axis, axes after it. */
  readonly before: readonly Axis[]
  readonly slot: Axis
  readonly after: readonly Axis[]
}

/** The place and the slot axis of `equal(place, iota(slot))`, either way round. */
const placeOf = (where: Tensor): { readonly place: Tensor; readonly slot: Axis } | undefined => {
  if (where.op.op !== 'compare' || where.op.fn !== 'equal') return undefined
  const [a, b] = where.inputs as readonly [Tensor, Tensor]
  for (const [place, slots] of [
    [a, b],
    [b, a],
  ] as const) {
    const slot = slots.axes[0]
    if (isIota(slots) && slot !== undefined && place.dtype === 'int32' && !findAxis(place, slot.name))
      return { place, slot }
  }
  return undefined
}

/** 0, 1, 2, …: as it was written, or folded to a constant. */
const isIota = (t: Tensor): boolean =>
  t.axes.length === 1 &&
  t.dtype === 'int32' &&
  (t.op.op === 'iota' || (t.op.op === 'constant' && t.op.data.every((x, i) => x === i)))

/** The replacements of this kind among a variant's next states. */
export const slotWrites = (variant: Variant): readonly SlotWrite[] =>
  stateWrites(variant).flatMap((write) => {
    const { next, where, value } = write
    const found = placeOf(where)
    if (found === undefined) return []
    const at = next.axes.findIndex((a) => a.name === found.slot.name)
    if (at < 0 || findAxis(value, found.slot.name)) return []
    const [before, after] = [next.axes.slice(0, at), next.axes.slice(at + 1)]
    if (!found.place.axes.every((a) => before.some((b) => b.name === a.name))) return []
    return [{ ...write, place: found.place, before, slot: found.slot, after }]
  })

/**
 * Writes the new elements into the variable and answers the node that does it. A place outside the slots writes nothing,
 * as the definition says: there the elements are those that stand at the nearest slot.
 */
export const emitSlotWrite = (w: Work, s: SlotWrite, handle: string, place: Ref, value: Ref): string => {
  const { g } = w
  const rows = elements(s.before)
  const int = attr.type('int32')
  const type = attr.type(tfTypeOf(s.next.dtype))
  const places = g.reshape(repeated(w, place, s.place.axes, s.before), [rows])
  const clamped = g.once(`clamped ${places.name} ${s.slot.size}`, () =>
    g.op('Maximum', [g.op('Minimum', [places.name, g.int(s.slot.size - 1)], { T: int }), g.int(0)], {
      T: int,
    }),
  )
  const inside = g.once(`inside ${clamped}`, () => g.op('Equal', [places.name, clamped], { T: int }))
  const indices = g.once(`indices ${clamped} ${sizes(s.before).join(',')}`, () => {
    const column: Ref = { name: clamped, dtype: 'int32', shape: [rows] }
    const grid = g.constant('int32', [rows, s.before.length], coordinates(sizes(s.before)))
    return g.op('ConcatV2', [grid.name, g.reshape(column, [rows, 1]).name, g.int(1)], {
      N: attr.int(2),
      T: int,
      Tidx: int,
    })
  })
  const shape = [rows, ...sizes(s.after)]
  const fresh = g.reshape(repeated(w, value, s.value.axes, [...s.before, ...s.after]), shape)
  const old = g.op('ResourceGatherNd', [handle, indices], { dtype: type, Tindices: int })
  const condition: Ref = { name: inside, dtype: 'bool', shape: [rows] }
  const chosen = g.op(
    'SelectV2',
    [g.reshape(condition, [rows, ...s.after.map(() => 1)]).name, fresh.name, old],
    { T: type },
  )
  return g.op(
    'ResourceScatterNdUpdate',
    [handle, indices, chosen],
    { T: type, Tindices: int },
    `slot/${s.key}`,
  )
}

/** Every index under these sizes, row-major: `rows × rank` numbers. */
const coordinates = (shape: readonly number[]): Int32Array => {
  const rows = shape.reduce((n, s) => n * s, 1)
  const out = new Int32Array(rows * shape.length)
  for (let r = 0; r < rows; r++) {
    let rest = r
    for (let d = shape.length - 1; d >= 0; d--) {
      out[r * shape.length + d] = rest % shape[d]!
      rest = Math.floor(rest / shape[d]!)
    }
  }
  return out
}
