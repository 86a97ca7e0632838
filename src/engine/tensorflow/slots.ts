/**
 * States of which a call replaces one place a row, as a key-value cache takes in one token:
 * `next = select(equal(place, iota(slot)), value, state)`. The variable is changed where it lies; the definition would
 * copy all of it.
 */
import { elements, sizes } from '../../dsl/index.ts'
import { attr } from '../proto/tensorflow.ts'
import type { SlotWrite } from '../state-writes.ts'
import { type Ref, tfTypeOf } from './builder.ts'
import { repeated, type Work } from './value.ts'

/**
 * Writes the new elements into the variable and answers the node that does it. A place outside the slots writes nothing,
 * as the definition says: there the elements are those that stand at the nearest slot.
 *
 * @param before nodes that have run when the elements that stand there are read
 */
export const emitSlotWrite = (
  w: Work,
  s: SlotWrite,
  handle: string,
  place: Ref,
  value: Ref,
  before: readonly string[],
): string => {
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
  g.after(old, ...before)
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
