/** Whether every token sees a key, as far as the mask's definition tells it. */
import { behind, type Tensor } from '../graph.ts'

const repeated = (t: Tensor): Tensor => behind(t, 'broadcast')

/** The elements of a tensor, whatever its axes are. */
const unshaped = (t: Tensor): Tensor => (t.op.op === 'reshape' ? unshaped(t.inputs[0]!) : t)

const isSame = (a: Tensor, b: Tensor): boolean =>
  a === b || (a.op.op === 'iota' && b.op.op === 'iota' && a.axes[0]!.size === b.axes[0]!.size)

/**
 * The axis of tokens, each of which sees the key of its own place: tokens are compared with themselves under the name of the
 * keys. Undefined where that is not so, or not known.
 */
const diagonal = (mask: Tensor, key: string): string | undefined => {
  const { op, inputs } = mask
  if (op.op === 'transpose' || op.op === 'broadcast') return diagonal(inputs[0]!, key)
  if (op.op === 'logic') {
    const [a, b] = inputs.map((x) => diagonal(x, key)) as [string | undefined, string | undefined]
    return op.fn === 'and' ? (a === b ? a : undefined) : (a ?? b)
  }
  // among fractions is NaN, which is not equal to itself
  if (op.op !== 'compare' || op.fn === 'less' || inputs[0]!.dtype === 'float32') return undefined
  const [a, b] = inputs.map(repeated) as [Tensor, Tensor]
  if (a.names.length !== b.names.length || !isSame(unshaped(a), unshaped(b))) return undefined
  const other = a.names.flatMap((n, i) => (n === b.names[i] ? [] : [[n, b.names[i]!]]))
  return other.length === 1 && other[0]!.includes(key) ? other[0]!.find((n) => n !== key) : undefined
}

/** Whether a value is never below 0, whatever is fed. */
const notNegative = (t: Tensor): boolean => {
  const { op, inputs } = t
  if (op.op === 'iota') return true
  if (op.op === 'constant') return op.data.every((x) => x >= 0)
  if (op.op === 'binary') return op.fn === 'max' && inputs.some(notNegative)
  return (op.op === 'broadcast' || op.op === 'reshape' || op.op === 'transpose') && notNegative(inputs[0]!)
}

/** Whether the first key is always seen: the places of the keys are compared with what is never below 0. */
const firstSeen = (mask: Tensor, key: string): boolean => {
  const { op, inputs } = mask
  if (op.op === 'transpose' || op.op === 'broadcast') return firstSeen(inputs[0]!, key)
  if (op.op !== 'compare' || op.fn !== 'lessEqual') return false
  const [place, last] = inputs.map(repeated) as [Tensor, Tensor]
  return place.op.op === 'iota' && place.names[0] === key && notNegative(last)
}

/**
 * Whether each row of a mask has a key that is seen, whatever is fed: where tokens see themselves or the first key, and where
 * rows are picked out of such a mask. False may be too careful.
 */
export const allSee = (mask: Tensor, key: string): boolean => {
  const x = mask.inputs[0]
  const { op } = mask
  if (x !== undefined && (op.op === 'gather' || op.op === 'reshape')) {
    // whole rows: the keys stay together
    const [from, to] = [x.axes.at(-1), mask.axes.at(-1)]
    if (from?.name === key && to?.name === key && from.size === to.size && x.axes.length > 1)
      return allSee(x, key)
  }
  return diagonal(mask, key) !== undefined || firstSeen(mask, key)
}
