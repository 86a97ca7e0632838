/** Products in which each row has a matrix of its own choice, and their adjoint: what a mixture of experts is made of. */
import { type Axis, type Names, showAxes } from './axis.ts'
import { sizeMismatch } from './axis-error.ts'
import { GraphError } from './error.ts'
import { findAxis, node, type Tensor } from './graph.ts'
import { axisOf } from './shape.ts'
import { type Site, siteOf } from './site.ts'

/** That a tensor begins with the index's axes; answers its other ones. */
const after = (what: string, t: Tensor, index: Tensor, site: Site): readonly Axis[] => {
  index.axes.forEach((a, i) => {
    const b = t.axes[i]
    if (b === undefined || b.name !== a.name)
      throw new GraphError(
        'BadShape',
        `${what}: the rows must begin with the index's axes ${showAxes(index.axes)}, and are ${showAxes(t.axes)}`,
        site,
        t.axes,
      )
    if (b.size !== a.size) throw sizeMismatch(what, a, b, site)
  })
  return t.axes.slice(index.axes.length)
}

/** A node of {@link contractChosen}, for the builder and adjoints. */
export const contractChosenOf = (
  rows: Tensor,
  index: Tensor,
  matrices: readonly Tensor[],
  over: string,
  site: Site,
): Tensor => {
  const what = 'contractChosen'
  const all = [rows, ...matrices]
  if (index.dtype !== 'int32' || all.some((t) => t.dtype !== 'float32'))
    throw new GraphError(
      'BadDtype',
      `${what}: float32 rows and matrices by an int32 index are needed, not ${rows.dtype} by ${index.dtype}`,
      site,
      [...rows.axes, ...index.axes],
    )
  const [first] = matrices
  if (first === undefined)
    throw new GraphError('BadArgument', `${what}: there is no matrix to choose; give at least one`, site)
  const summed = axisOf(what, rows, over, site)
  const own = after(what, rows, index, site)
  const odd = matrices.find(
    (m) =>
      m.axes.length !== 2 ||
      m.axes.some((a, i) => a.name !== first.names[i] || a.size !== first.axes[i]!.size),
  )
  if (odd !== undefined || own.length !== 1 || own[0]!.name !== over)
    throw new GraphError(
      'BadShape',
      `${what}: rows [index…, ${over}] and matrices of one shape with two axes are needed, not ${showAxes(rows.axes)} and ${showAxes((odd ?? first).axes)}`,
      site,
      rows.axes,
    )
  const inside = axisOf(what, first, over, site)
  if (inside.size !== summed.size) throw sizeMismatch(what, summed, inside, site)
  const out = first.axes.find((a) => a.name !== over)!
  if (findAxis(index, out.name) !== undefined)
    throw new GraphError(
      'DuplicateAxis',
      `${what}: index and matrices both have an axis '${out.name}'; rename one`,
      site,
      [...index.axes, ...first.axes],
    )
  const op = { op: 'contractChosen', over } as const
  return node(op, [rows, index, ...matrices], [...index.axes, out], 'float32', site)
}

/**
 * Σ over an axis of each row and the matrix that the row's index names: `[…, in]` by int32 `[…]` and matrices `[out, in]`
 * (or `[in, out]`) → `[…, out]`. Rows need no order; each costs one product, however many matrices there are.
 *
 * An index lies in 0 … matrices − 1, by the rule of {@link gather}.
 *
 * @example
 * const [Row, Embed, Hidden] = [axis('row', 6), axis('embed', 4), axis('hidden', 8)]
 * const experts = [0, 1, 2].map((i) => parameter(`experts.${i}.weight`, [Hidden, Embed], zeros))
 * const y = contractChosen(input('x', [Row, Embed]), input('expert', [Row], 'int32'), experts, 'embed')
 * y.names // ['row', 'hidden']
 *
 * @throws GraphError `BadShape`, `BadDtype`, `SizeMismatch`, `UnknownAxis`, `DuplicateAxis`; `BadArgument` where there is no matrix
 * @category products
 */
export const contractChosen = (
  rows: Tensor,
  index: Tensor,
  matrices: readonly Tensor[],
  over: string,
): Tensor => contractChosenOf(rows, index, matrices, over, siteOf(contractChosen))

/** Σ over the rows whose index is `choice` of a ⊗ b, under the axes `to`: the adjoint of a matrix of {@link contractChosen}. */
export const outerChosenOf = (
  a: Tensor,
  b: Tensor,
  index: Tensor,
  choice: number,
  of: number,
  to: Names,
  site: Site,
): Tensor => {
  const [x, y] = [a, b].map((t) => after('outerChosen', t, index, site)[0]!) as [Axis, Axis]
  const axes = to.map((n) => (n === x.name ? x : y))
  return node({ op: 'outerChosen', choice, of }, [a, b, index], axes, 'float32', site)
}
