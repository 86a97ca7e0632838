/** A sum of padded pieces that lie side by side, as the gradient of slices is: an engine joins the pieces instead. */
import { findAxis, type Tensor } from '../dsl/index.ts'

/** The pieces in their order, and the axis along which they are joined. */
export interface SideBySide {
  readonly along: string
  readonly pieces: readonly Tensor[]
}

const isSum = (t: Tensor): boolean => t.op.op === 'binary' && t.op.fn === 'add'

/** The pads along one axis that a tree of sums consists of, at most `most`; undefined where it has another term. */
const pads = (t: Tensor, along: string, most: number): readonly Tensor[] | undefined => {
  const found: Tensor[] = []
  const left = [t]
  for (let x = left.pop(); x !== undefined; x = left.pop())
    if (isSum(x)) left.push(...[...x.inputs].reverse())
    else if (x.op.op === 'pad' && x.op.along === along && x.axes.length === t.axes.length) {
      found.push(x)
      if (found.length > most) return undefined
    } else return undefined
  return found
}

/** The first term of a tree of sums. */
const firstTerm = (t: Tensor): Tensor => {
  let first = t
  while (isSum(first)) first = first.inputs[0]!
  return first
}

/** What a sum joins, or undefined where it is another sum. */
export const sideBySide = (t: Tensor): SideBySide | undefined => {
  // a long chain of other sums is not walked down from each of its links
  if (!isSum(t) || !t.inputs.every((x) => isSum(x) || x.op.op === 'pad')) return undefined
  const first = firstTerm(t).op
  if (first.op !== 'pad') return undefined
  const whole = findAxis(t, first.along)!.size
  const pieces = (pads(t, first.along, whole) ?? [])
    .map((x) => ({ start: x.op.op === 'pad' ? x.op.before : 0, of: x.inputs[0]! }))
    .sort((a, b) => a.start - b.start)
  let end = 0
  for (const p of pieces) {
    if (p.start !== end) return undefined
    end += findAxis(p.of, first.along)!.size
  }
  return end === whole ? { along: first.along, pieces: pieces.map((p) => p.of) } : undefined
}
