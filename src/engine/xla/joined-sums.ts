/**
 * Sums that are added up, as the squares of all gradients are for their norm, as one sum for each shape. On a device each sum
 * is a kernel, which takes as long to launch and to begin as small ones take to compute: nano's step has 92 for the norm.
 */
import { elements, node, rewrite, type Tensor, topological } from '../../dsl/index.ts'

/** Up to so many elements a sum takes no longer than its launch; longer ones are joined for nothing. */
const small = 2 ** 18

const isAdded = ({ op, axes }: Tensor): boolean => op.op === 'binary' && op.fn === 'add' && axes.length === 0

type WasAndNow = readonly [was: Tensor, now: Tensor]

/** What an addition adds up, each as it was and as it is by now; `alone` tells what nobody else uses. */
const addends = (was: Tensor, now: Tensor, alone: (t: Tensor) => boolean): readonly WasAndNow[] => {
  const found: WasAndNow[] = []
  // a model of experts has thousands, one inside the other
  const waiting: WasAndNow[] = [[was, now]]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const [before, after] = next
    if (before === was || (isAdded(before) && isAdded(after) && alone(before)))
      waiting.push(...before.inputs.map((x, i): WasAndNow => [x, after.inputs[i]!]).reverse())
    else found.push(next)
  }
  return found
}

/** Whether a number is the sum of few. */
const isSmallSum = ({ op, inputs, dtype }: Tensor): boolean =>
  op.op === 'reduce' && op.fn === 'sum' && dtype === 'float32' && elements(inputs[0]!.axes) <= small

/** Adds elements first and then sums once, where sums of tensors with the same axes are added up. */
export const joinedSums = (roots: readonly Tensor[]): Tensor[] => {
  const uses = new Map<Tensor, number>()
  const used = (t: Tensor): unknown => uses.set(t, (uses.get(t) ?? 0) + 1)
  const inside = new Set<Tensor>()
  for (const t of topological(roots)) {
    t.inputs.forEach(used)
    if (isAdded(t)) for (const x of t.inputs) inside.add(x)
  }
  roots.forEach(used)
  const alone = (t: Tensor): boolean => uses.get(t) === 1
  return rewrite(roots, (now, was) => {
    if (!isAdded(was) || (inside.has(was) && alone(was))) return now
    const all = addends(was, now, alone)
    const groups = new Map<string, Tensor[]>()
    all.forEach(([before, after], i) => {
      const key =
        isSmallSum(before) && alone(before)
          ? after.inputs[0]!.axes.map((x) => `${x.name} ${x.size}`).join('\u0001')
          : String(i)
      const group = groups.get(key) ?? []
      group.push(after)
      groups.set(key, group)
    })
    if (groups.size === all.length) return now
    const sum = (a: Tensor, b: Tensor): Tensor =>
      node({ op: 'binary', fn: 'add' }, [a, b], a.axes, a.dtype, was.site)
    return [...groups.values()]
      .map((group) => {
        const [first, ...others] = group as [Tensor, ...Tensor[]]
        if (others.length === 0) return first
        const added = others.reduce((a, t) => sum(a, t.inputs[0]!), first.inputs[0]!)
        return node(first.op, [added], [], first.dtype, first.site)
      })
      .reduce(sum)
  })
}
