/**
 * Where a graph uses integers as indices, and what can be known of them before it runs.
 *
 * An index that inputs and literals alone determine, by integer operations, is *checked* before a call and refused out of
 * range. Any other is *computed*: where its range is not plain from the graph it is brought to the nearest index.
 */
import { elements } from './axis.ts'
import { findAxis, type OpName, type Tensor, topological } from './graph.ts'

/** One use of an index. */
export interface IndexUse {
  /** The `gather`, `scatterAdd`, `contractChosen` or cross-entropy. */
  readonly by: Tensor
  /** What it is called in messages. */
  readonly name: string
  readonly index: Tensor
  /** Indices lie in 0 … size − 1. */
  readonly size: number
  readonly known: 'in range' | 'checked' | 'computed'
}

const targeted = new Set(['crossEntropy', 'crossEntropyGradient'])

/** Whether a node is a composite whose third input is a class for each position. */
export const takesTarget = (t: Tensor): boolean => t.op.op === 'composite' && targeted.has(t.op.kind)

const useOf = (t: Tensor): Omit<IndexUse, 'known'> | undefined => {
  if (t.op.op === 'gather')
    return { by: t, name: 'gather', index: t.inputs[1]!, size: t.inputs[0]!.axes[0]!.size }
  if (t.op.op === 'scatterAdd')
    return { by: t, name: 'scatterAdd', index: t.inputs[0]!, size: t.axes[0]!.size }
  if (t.op.op === 'contractChosen')
    return { by: t, name: 'contractChosen', index: t.inputs[1]!, size: t.inputs.length - 2 }
  if (t.op.op !== 'composite' || !takesTarget(t)) return undefined
  const classes = findAxis(t.inputs[1]!, String(t.op.settings.axis))
  return classes === undefined
    ? undefined
    : { by: t, name: 'crossEntropy', index: t.inputs[2]!, size: classes.size }
}

/** Operations on integers and bools that are cheap to do beside a call. */
const followed: ReadonlySet<OpName> = new Set<OpName>([
  ...(['input', 'constant', 'iota', 'unary', 'binary', 'compare', 'logic', 'select', 'cast'] as const),
  ...(['stopGradient', 'reshape', 'transpose', 'broadcast', 'slice', 'pad', 'concat'] as const),
])

/** The most elements that a node on the way to a checked index has, where there is something to compute. */
const most = 2 ** 20

/** Operations that only move the elements of one input. */
const moving: ReadonlySet<OpName> = new Set<OpName>(['reshape', 'transpose', 'stopGradient', 'broadcast'])

/** The input that a node's elements are, each of them and nothing else: it is checked as it is, however long. */
export const bareInput = (t: Tensor): string | undefined => {
  let x = t
  while (moving.has(x.op.op)) x = x.inputs[0]!
  return x.op.op === 'input' ? x.op.name : undefined
}

type Range = readonly [low: number, high: number]
const any: Range = [-(2 ** 31), 2 ** 31 - 1]

const span = (rs: readonly Range[]): Range => [
  Math.min(...rs.map((r) => r[0])),
  Math.max(...rs.map((r) => r[1])),
]

/** The values that an integer node may have, from those of its inputs. */
const rangeOf = (t: Tensor, of: (x: Tensor) => Range): Range => {
  const { op } = t
  if (t.dtype === 'bool') return [0, 1]
  if (t.dtype !== 'int32') return any
  switch (op.op) {
    case 'constant': {
      const data = op.data as Int32Array
      return data.length === 0
        ? [0, 0]
        : [data.reduce((a, b) => Math.min(a, b)), data.reduce((a, b) => Math.max(a, b))]
    }
    case 'iota':
      return [0, Math.max(0, elements(t.axes) - 1)]
    case 'argmax':
      return [0, findAxis(t.inputs[0]!, op.over)!.size - 1]
    case 'cast':
      return of(t.inputs[0]!)
    case 'stopGradient':
    case 'reshape':
    case 'transpose':
    case 'broadcast':
    case 'slice':
      return of(t.inputs[0]!)
    case 'gather':
      return of(t.inputs[0]!)
    case 'pad':
      return span([[0, 0], of(t.inputs[0]!)])
    case 'concat':
      return span(t.inputs.map(of))
    case 'select':
      return span([of(t.inputs[1]!), of(t.inputs[2]!)])
    case 'composite':
      return of(t.inputs[0]!)
    case 'binary': {
      const [a, b] = t.inputs.map(of) as [Range, Range]
      const made: Range =
        op.fn === 'max'
          ? [Math.max(a[0], b[0]), Math.max(a[1], b[1])]
          : op.fn === 'min'
            ? [Math.min(a[0], b[0]), Math.min(a[1], b[1])]
            : op.fn === 'add'
              ? [a[0] + b[0], a[1] + b[1]]
              : op.fn === 'sub'
                ? [a[0] - b[1], a[1] - b[0]]
                : op.fn === 'mul'
                  ? span(a.flatMap((x) => b.map((y): Range => [x * y, x * y])))
                  : any
      // what may wrap around may be anything
      return made[0] < any[0] || made[1] > any[1] ? any : made
    }
    default:
      return any
  }
}

/** Ranges of the integer nodes that were asked for, and of what they are made of. */
const ranges = new WeakMap<Tensor, Range>()

/** What the range of a node is made of. */
const ranged = (t: Tensor): readonly Tensor[] =>
  ranges.has(t) || t.dtype !== 'int32' || t.op.op === 'argmax' ? [] : t.inputs

/** Whether what is computed for an integer node lies in 0 … size − 1, as far as the graph alone says. */
export const isWithin = (t: Tensor, size: number): boolean => {
  const of = (x: Tensor): Range => ranges.get(x)!
  for (const x of topological([t], ranged)) if (!ranges.has(x)) ranges.set(x, rangeOf(x, of))
  const [low, high] = of(t)
  return low >= 0 && high < size
}

/** The uses of indices that the roots depend on, one for each index and size. */
export const indexUses = (roots: readonly Tensor[]): readonly IndexUse[] => {
  const order = topological(roots)
  const found = order.flatMap((t) => useOf(t) ?? [])
  if (found.length === 0) return []
  const plain = new Set<Tensor>()
  for (const t of topological(found.map((u) => u.index)))
    if (
      t.dtype !== 'float32' &&
      followed.has(t.op.op) &&
      (elements(t.axes) <= most || bareInput(t) !== undefined) &&
      t.inputs.every((x) => plain.has(x))
    )
      plain.add(t)
  return found.map((u) => ({
    ...u,
    known: isWithin(u.index, u.size) ? 'in range' : plain.has(u.index) ? 'checked' : 'computed',
  }))
}
