/**
 * How a `contract` node runs as one matrix product: which axes are batch, rows, columns and sum, and which operand needs
 * a physical transpose first. Both engines lower through this plan.
 */
import type { Axis } from './axis.ts'
import { elements } from './axis.ts'
import type { Tensor } from './graph.ts'

/** One operand as the product sees it. */
export interface OperandPlan {
  readonly tensor: Tensor
  /** Permutation to apply first (`output axis i = input axis perm[i]`), or undefined where a reshaped view suffices. */
  readonly perm: readonly number[] | undefined
  /** Shape of the view: `[batch,] free, sum`, or `[batch,] sum, free` where `transposed`. */
  readonly view: readonly number[]
  /** Whether the sum comes before the free axes, so that the product's transpose flag is set. */
  readonly transposed: boolean
}

/** `left [batch,] m × k` times `right [batch,] k × n`, up to the transposed flags. */
export interface ContractionPlan {
  /** False: a rank-2 product. True: rank 3 with one batch dimension. */
  readonly batched: boolean
  readonly batch: number
  readonly m: number
  readonly n: number
  readonly k: number
  readonly left: OperandPlan
  /** As written, `right` is stored `k × n`; `transposed` means that it is stored `n × k`. */
  readonly right: OperandPlan
  /** Axes in the order in which the product yields them. */
  readonly produced: readonly Axis[]
  /** Permutation from `produced` to the node's axes, or undefined where they are equal. */
  readonly perm: readonly number[] | undefined
}

/**
 * Whether a batched product runs better as a product a row, the right operand standing for all rows of its batch: both
 * runtimes rearrange the right operand where there are several rows, which costs more than those few read it for.
 */
export const byRow = ({ batched, m, n, k }: ContractionPlan): boolean =>
  batched && m > 1 && m <= 4 && n >= 16 && k >= 16

const permutation = (from: readonly Axis[], to: readonly Axis[]): readonly number[] | undefined => {
  const perm = to.map((a) => from.findIndex((b) => b.name === a.name))
  return perm.every((p, i) => p === i) ? undefined : perm
}

const named = (axes: readonly Axis[], names: readonly string[]): Axis[] =>
  axes.filter((a) => names.includes(a.name))

const operand = (
  t: Tensor,
  batch: readonly Axis[],
  free: readonly Axis[],
  sum: readonly Axis[],
  sumFirst: boolean,
): OperandPlan => {
  const straight = [...batch, ...free, ...sum]
  const flipped = [...batch, ...sum, ...free]
  const wanted = sumFirst ? [flipped, straight] : [straight, flipped]
  const direct = wanted.find((w) => permutation(t.axes, w) === undefined)
  const order = direct ?? wanted[0]!
  const isFlipped = order === flipped
  const b = batch.length > 0 ? [elements(batch)] : []
  const fs = [elements(free), elements(sum)]
  return {
    tensor: t,
    perm: direct === undefined ? permutation(t.axes, order) : undefined,
    view: [...b, ...(isFlipped ? [fs[1]!, fs[0]!] : fs)],
    transposed: isFlipped,
  }
}

/**
 * The plan of a `contract` node over operands `a` and `b` (its inputs, or what an engine puts in their place, with the
 * same axes).
 */
export const contractionPlan = (node: Tensor): ContractionPlan => {
  if (node.op.op !== 'contract') throw new Error(`contractionPlan of a ${node.op.op} node`)
  const over = node.op.over
  const [a, b] = node.inputs as readonly [Tensor, Tensor]
  const bNames = b.axes.map((x) => x.name)
  const batchNames = a.axes.map((x) => x.name).filter((x) => bNames.includes(x) && !over.includes(x))
  // the node's own order decides the order inside batch and inside each side's free axes, so that the result needs no transpose
  const batch = named(node.axes, batchNames)
  const freeOf = (t: Tensor): Axis[] =>
    named(
      node.axes,
      t.axes.map((x) => x.name).filter((x) => !over.includes(x) && !batchNames.includes(x)),
    )
  const freeA = freeOf(a)
  const freeB = freeOf(b)
  const sum = a.axes.filter((x) => over.includes(x.name))
  const swap =
    permutation([...batch, ...freeA, ...freeB], node.axes) !== undefined &&
    permutation([...batch, ...freeB, ...freeA], node.axes) === undefined
  const [l, lf, r, rf] = swap ? [b, freeB, a, freeA] : [a, freeA, b, freeB]
  const produced = [...batch, ...lf, ...rf]
  const left = operand(l, batch, lf, sum, false)
  const rightView = operand(r, batch, rf, sum, true)
  return {
    batched: batch.length > 0,
    batch: elements(batch),
    m: elements(lf),
    n: elements(rf),
    k: elements(sum),
    left,
    right: { ...rightView, transposed: !rightView.transposed },
    produced,
    perm: permutation(produced, node.axes),
  }
}
