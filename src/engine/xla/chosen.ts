/**
 * Products by chosen matrices. Shapes are static here, so the rows are not parted: every row meets every matrix, as zeros
 * but for the one that it chose. Over several devices the axis of the matrices is called `expert`.
 */
import { axis, elements, findAxis, type Op, sizes, type Tensor } from '../../dsl/index.ts'
import type { Value } from './builder.ts'
import * as hlo from './hlo.ts'
import { factor, product, type Work } from './value.ts'

/** Rows where their index says so, zeros elsewhere. */
const chosenRows = (w: Work, rows: Value, hit: Value, places: readonly number[]): Value =>
  hlo.choose(
    w.g,
    hlo.broadcast(w.g, hit, rows.shape, places),
    rows,
    hlo.filled(w.g, rows.type, rows.shape, 0),
  )

/** Each row by the matrix that it chose: one product over matrices and rows' axis together. */
export const contractChosen = (
  w: Work,
  t: Tensor,
  op: Extract<Op, { op: 'contractChosen' }>,
  [x, index, ...matrices]: readonly Value[],
): Value => {
  const { g } = w
  const rows = elements(t.inputs[1]!.axes)
  const [count, size] = [matrices.length, x!.shape.at(-1)!]
  const at = t.inputs[2]!.names.indexOf(op.over)
  const whole = hlo.concatenate(
    g,
    matrices.map((m) => hlo.reshape(g, factor(w, m), [1, ...m.shape])),
    0,
  )
  const stacked = w.dealt(whole, [axis('expert', count), ...t.inputs[2]!.axes])
  const wide = hlo.broadcast(g, hlo.reshape(g, factor(w, x!), [rows, size]), [rows, count, size], [0, 2])
  const named = hlo.broadcast(g, hlo.reshape(g, index!, [rows]), [rows, count], [0])
  const hit = hlo.compare(g, 'EQ', named, hlo.iota(g, [rows, count], 1))
  const made = product(w, t, chosenRows(w, wide, hit, [0, 1]), stacked, {
    batch: [[], []],
    over: [
      [1, 2],
      [0, at + 1],
    ],
  })
  return hlo.reshape(g, made, sizes(t.axes))
}

/** Σ over the rows that chose one matrix of a ⊗ b. */
export const outerChosen = (
  w: Work,
  t: Tensor,
  op: Extract<Op, { op: 'outerChosen' }>,
  [a, b, index]: readonly Value[],
): Value => {
  const { g } = w
  const rows = elements(t.inputs[2]!.axes)
  const matrix = (x: Value): Value => factor(w, hlo.reshape(g, x, [rows, x.shape.at(-1)!]))
  const hit = hlo.compare(g, 'EQ', hlo.reshape(g, index!, [rows]), hlo.filled(g, 'int32', [rows], op.choice))
  const [left, right] = findAxis(t.inputs[0]!, t.names[0]!) === undefined ? [b!, a!] : [a!, b!]
  const meeting = { batch: [[], []], over: [[0], [0]] } as const
  return product(w, t, chosenRows(w, matrix(left), hit, [0]), matrix(right), meeting)
}
