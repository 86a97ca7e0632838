/** Masks that compare places along two axes, known by what is compared: none of their elements are computed. */
import { behind, evaluate, isFixed, type Tensor } from '../dsl/index.ts'

/** Of a mask that compares places with the same places along another axis: the axis whose places are not larger, and the other. */
export const notLarger = (mask: Tensor): readonly [least: string, most: string] | undefined => {
  const compared = behind(mask, 'broadcast', 'transpose')
  if (compared.op.op !== 'compare' || compared.op.fn !== 'lessEqual') return undefined
  const [a, b] = compared.inputs.map((x) => behind(x, 'broadcast')) as [Tensor, Tensor]
  if (a.axes.length !== 1 || b.axes.length !== 1 || !isFixed(a) || !isFixed(b)) return undefined
  const [from, to] = evaluate([a, b]) as [Float64Array, Float64Array]
  const same = from.length === to.length && from.every((x, i) => x === to[i] && (i === 0 || x > from[i - 1]!))
  return same ? [a.names[0]!, b.names[0]!] : undefined
}
