/**
 * Products by chosen matrices as ONNX nodes: the rows are sorted by their index and cut into one piece a matrix, of as many
 * rows as chose it; each piece is one product. Rows that one index sorts are sorted once for all who need them.
 */
import { elements, findAxis, sizes, type Tensor } from '../../dsl/index.ts'
import type { Emitter } from './emitter.ts'

/** The name under which a graph node's value was emitted. */
type ValueOf = (t: Tensor) => string

/** The rows' order, as int64: `order[i]` is the row that comes i-th, by its index, then by its place. */
const orderOf = (index: string, rows: number, e: Emitter): string =>
  e.nodes('TopK', [index, e.ints([rows])], { axis: 0, largest: 0, sorted: 1 }, { outputs: 2 })[1]!

/** How many rows have each index, as int64 `[of]`. */
const countsOf = (index: string, rows: number, of: number, e: Emitter): string => {
  const choices = e.constant(
    'int32',
    [of],
    Int32Array.from({ length: of }, (_, i) => i),
  )
  const hit = e.node('Equal', [e.reshape(index, [rows], [rows, 1]), choices])
  return e.node('ReduceSum', [e.node('Cast', [hit], { to: 7 }), e.ints([0])], { keepdims: 0 })
}

/** The rows of `x` in pieces, one an index. */
const pieces = (x: Tensor, index: Tensor, of: number, e: Emitter, value: ValueOf): readonly string[] => {
  const rows = elements(index.axes)
  const flat = e.reshape(value(x), sizes(x.axes), [rows, x.axes.at(-1)!.size])
  if (of === 1) return [flat]
  const at = e.reshape(value(index), sizes(index.axes), [rows])
  const sorted = e.node('Gather', [flat, orderOf(at, rows, e)], { axis: 0 })
  return e.nodes('Split', [sorted, countsOf(at, rows, of, e)], { axis: 0 }, { outputs: of })
}

/** Each row by the matrix that it chose. */
export const contractChosen = (t: Tensor, over: string, e: Emitter, value: ValueOf): string => {
  const [x, index, ...matrices] = t.inputs as readonly [Tensor, Tensor, ...Tensor[]]
  const rows = elements(index.axes)
  const transB = matrices[0]!.names[1] === over ? 1 : 0
  const products = pieces(x, index, matrices.length, e, value).map((piece, i) =>
    transB === 1
      ? e.node('Gemm', [piece, value(matrices[i]!)], { transB })
      : e.node('MatMul', [piece, value(matrices[i]!)]),
  )
  const flat = [rows, t.axes.at(-1)!.size]
  if (products.length === 1) return e.reshape(products[0]!, flat, sizes(t.axes))
  const order = orderOf(e.reshape(value(index), sizes(index.axes), [rows]), rows, e)
  const places = BigInt64Array.from({ length: rows }, (_, i) => BigInt(i))
  // where each row went, which is what brings it back
  const back = e.node('ScatterElements', [order, order, e.constant('int64', [rows], places)], { axis: 0 })
  const sorted = e.node('Concat', products, { axis: 0 })
  return e.reshape(e.node('Gather', [sorted, back], { axis: 0 }), flat, sizes(t.axes))
}

/** Σ over the rows that chose one matrix of a ⊗ b. */
export const outerChosen = (t: Tensor, choice: number, of: number, e: Emitter, value: ValueOf): string => {
  const [a, b, index] = t.inputs as readonly [Tensor, Tensor, Tensor]
  const [left, right] = findAxis(a, t.names[0]!) === undefined ? [b, a] : [a, b]
  const piece = (x: Tensor): string => pieces(x, index, of, e, value)[choice]!
  return e.node('Gemm', [piece(left), piece(right)], { transA: 1 })
}
