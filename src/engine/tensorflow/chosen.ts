/**
 * Products by chosen matrices as TensorFlow operations: the rows are parted by their index, one piece a matrix, of as many
 * rows as chose it; each piece is one product. Rows that one index parts are parted once for all who need them.
 */
import { elements, findAxis, type Op, sizes, type Tensor } from '../../dsl/index.ts'
import { attr } from '../proto/tensorflow.ts'
import type { Builder, Ref } from './builder.ts'
import { resultOf } from './value.ts'

/** `part`, `part:1`, …: the outputs of one operation. */
const outputs = (name: string, count: number): readonly string[] =>
  Array.from({ length: count }, (_, i) => (i === 0 ? name : `${name}:${i}`))

/** Rows `[rows, …]` in pieces by `[rows]` indices. */
const parted = (g: Builder, x: Ref, index: Ref, of: number): readonly string[] => {
  if (of === 1) return [x.name]
  const name = g.once(`parted ${x.name} ${index.name} ${of}`, () =>
    g.op('DynamicPartition', [x.name, index.name], { num_partitions: attr.int(of), T: attr.type(x.dtype) }),
  )
  return outputs(name, of)
}

/** A value as a matrix of rows. */
const matrix = (g: Builder, x: Ref, rows: number): Ref => g.reshape(x, [rows, x.shape.at(-1)!])

/** Each row by the matrix that it chose. */
export const contractChosen = (
  g: Builder,
  t: Tensor,
  op: Extract<Op, { op: 'contractChosen' }>,
  [x, index, ...matrices]: readonly Ref[],
): Ref => {
  const rows = elements(t.inputs[1]!.axes)
  const at = g.reshape(index!, [rows])
  const turned = t.inputs[2]!.names[1] === op.over
  const products = parted(g, matrix(g, x!, rows), at, matrices.length).map((piece, i) =>
    g.op('MatMul', [piece, matrices[i]!.name], {
      T: attr.type('float32'),
      transpose_a: attr.bool(false),
      transpose_b: attr.bool(turned),
    }),
  )
  const whole = (name: string): Ref =>
    g.reshape({ name, dtype: 'float32', shape: [rows, t.axes.at(-1)!.size] }, sizes(t.axes))
  if (products.length === 1) return whole(products[0]!)
  const places = g.constant(
    'int32',
    [rows],
    Int32Array.from({ length: rows }, (_, i) => i),
  )
  const stitched = g.op('DynamicStitch', [...parted(g, places, at, matrices.length), ...products], {
    N: attr.int(products.length),
    T: attr.type('float32'),
  })
  return whole(stitched)
}

/** Σ over the rows that chose one matrix of a ⊗ b. */
export const outerChosen = (
  g: Builder,
  t: Tensor,
  op: Extract<Op, { op: 'outerChosen' }>,
  [a, b, index]: readonly Ref[],
): Ref => {
  const rows = elements(t.inputs[2]!.axes)
  const at = g.reshape(index!, [rows])
  const piece = (x: Ref): string => parted(g, matrix(g, x, rows), at, op.of)[op.choice]!
  const [left, right] = findAxis(t.inputs[0]!, t.names[0]!) === undefined ? [b!, a!] : [a!, b!]
  const name = g.op('MatMul', [piece(left), piece(right)], {
    T: attr.type('float32'),
    transpose_a: attr.bool(true),
    transpose_b: attr.bool(false),
  })
  return resultOf(t, name)
}
