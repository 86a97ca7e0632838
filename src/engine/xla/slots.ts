/**
 * States of which a call replaces one place a row, as a key-value cache takes in one token:
 * `next = select(equal(place, iota(slot)), value, state)`, and what a loop carries alike. The new elements are scattered into
 * the state, which is donated and so changed where it lies; the definition would pass over all of it.
 */
import { elements, sizes, type Tensor } from '../../dsl/index.ts'
import type { SlotWrite } from '../state-writes.ts'
import type { Value } from './builder.ts'
import * as hlo from './hlo.ts'
import { operandsUsed } from './node.ts'
import { repeated, type Work } from './value.ts'

/** What a node is computed from: its operands, or where one slot is written its place, its value and the whole. */
export const operandsWith =
  (w: Work, slots: ReadonlyMap<Tensor, SlotWrite>) =>
  (t: Tensor): readonly Tensor[] => {
    const slot = slots.get(t)
    return slot === undefined ? operandsUsed(w, t) : [slot.place, slot.value, t.inputs[2]!]
  }

/** The state with the new elements. A place outside the slots writes nothing, as the definition says. */
export const writeSlots = (w: Work, s: SlotWrite, operands: readonly Value[]): Value => {
  const { g } = w
  const [place, value, old] = operands as readonly [Value, Value, Value]
  const rows = elements(s.before)
  const shape = sizes(s.before)
  const coordinates = shape.map((_, i) => hlo.reshape(g, hlo.iota(g, shape, i), [rows, 1]))
  const named = hlo.reshape(g, repeated(w, place, s.place.axes, s.before), [rows, 1])
  const places = hlo.concatenate(g, [...coordinates, named], 1)
  const fresh = repeated(w, hlo.convert(g, value, old.type), s.value.axes, [...s.before, ...s.after])
  return hlo.scatter(g, 'replace', old, places, hlo.reshape(g, fresh, [rows, ...sizes(s.after)]), {
    window: s.after.map((_, i) => i + 1),
    named: [...s.before.map((_, i) => i), s.before.length],
    unique: true,
    vector: 1,
  })
}
