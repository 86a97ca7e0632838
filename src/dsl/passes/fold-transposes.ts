/** Transposes folded into contractions, which address axes by name and so do not mind their order. */
import { type Axis, elements } from '../axis.ts'
import { contractionPlan } from '../contraction.ts'
import { node, rewrite, type Tensor, topological, withInputs } from '../graph.ts'

/** Elements that a contraction has to move before and after its product. */
const moved = (t: Tensor): number => {
  const { left, right, perm } = contractionPlan(t)
  return [left, right].reduce(
    (n, o) => (o.perm === undefined ? n : n + elements(o.tensor.axes)),
    perm === undefined ? 0 : elements(t.axes),
  )
}

/** A reshape that only gives the axes other names. */
const isRename = (t: Tensor): boolean =>
  t.op.op === 'reshape' &&
  t.axes.length === t.inputs[0]!.axes.length &&
  t.axes.every((a, i) => a.size === t.inputs[0]!.axes[i]!.size)

/** What the axes of `before` are called after the rename `t`. */
const newName = (t: Tensor, before: Axis): Axis =>
  t.axes[t.inputs[0]!.axes.findIndex((a) => a.name === before.name)]!

/** The same tensor but for the order of its axes, without the transpose that `t` ends in; undefined where it ends in none. */
const untransposed = (t: Tensor): Tensor | undefined => {
  if (t.op.op === 'transpose') return t.inputs[0]!
  if (!isRename(t) || t.inputs[0]!.op.op !== 'transpose') return undefined
  const x = t.inputs[0]!.inputs[0]!
  return node(
    t.op,
    [x],
    x.axes.map((a) => newName(t, a)),
    t.dtype,
    t.site,
  )
}

/** The contraction with its axes in another order. */
const reordered = (t: Tensor, axes: readonly Axis[]): Tensor => ({
  ...t,
  axes,
  names: axes.map((a) => a.name),
})

/**
 * `contract(transpose(x), y)` becomes `contract(x, y)`, and `transpose(contract(x, y))` the contraction with its axes in
 * that order, also through a rename; where the product would have to move more elements than the transpose did, it stays.
 *
 * @category passes
 */
export const foldTransposes = (roots: readonly Tensor[]): Tensor[] => {
  const uses = new Map<Tensor, number>()
  const use = (t: Tensor): void => {
    uses.set(t, (uses.get(t) ?? 0) + 1)
  }
  for (const t of topological(roots)) t.inputs.forEach(use)
  roots.forEach(use)
  const once = (t: Tensor): boolean => uses.get(t) === 1

  /** Whether nobody else needs the transpose that `t` ends in. */
  const vanishes = (t: Tensor): boolean => once(t) && (t.op.op === 'transpose' || once(t.inputs[0]!))

  const intoOperands = (t: Tensor, before: Tensor): Tensor => {
    if (t.inputs.every((x) => untransposed(x) === undefined)) return t
    let out = t
    let cost = moved(t)
    t.inputs.forEach((x, i) => {
      const plain = untransposed(x)
      if (plain === undefined) return
      const inputs = [...out.inputs]
      inputs[i] = plain
      const folded = withInputs(out, inputs)
      const now = moved(folded)
      if (now > cost + (vanishes(before.inputs[i]!) ? elements(x.axes) : 0)) return
      out = folded
      cost = now
    })
    return out
  }

  const intoProduct = (t: Tensor, before: Tensor): Tensor => {
    const x = t.inputs[0]!
    const rename = isRename(x)
    const product = rename ? x.inputs[0]! : x
    if (product.op.op !== 'contract' || !once(before.inputs[0]!)) return t
    if (rename && !once(before.inputs[0]!.inputs[0]!)) return t
    const axes = t.axes.map((a) => (rename ? product.axes[x.axes.findIndex((b) => b.name === a.name)]! : a))
    const folded = reordered(product, axes)
    if (moved(folded) > moved(product) + elements(t.axes)) return t
    return { ...(rename ? node(x.op, [folded], t.axes, t.dtype, x.site) : folded), marks: t.marks }
  }

  return rewrite(roots, (t, before) =>
    t.op.op === 'contract' ? intoOperands(t, before) : t.op.op === 'transpose' ? intoProduct(t, before) : t,
  )
}
