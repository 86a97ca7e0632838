/** Rows by index, and their adjoint. */
import type { Axis, Names } from './axis.ts'
import { distinct, sizeMismatch } from './axis-error.ts'
import { GraphError } from './error.ts'
import { findAxis, node, type Tensor } from './graph.ts'
import { type Site, siteOf } from './site.ts'

/** A gather node, for builders and adjoints. */
export const gatherOf = (table: Tensor, index: Tensor, site: Site): Tensor => {
  const [, ...rest] = table.axes
  if (table.axes.length === 0 || index.dtype !== 'int32')
    throw new GraphError(
      'BadDtype',
      `gather: rows of a table (at least one axis) by an int32 index are needed, not ${index.dtype}`,
      site,
      [...table.axes, ...index.axes],
    )
  const clash = rest.find((a) => findAxis(index, a.name))
  if (clash !== undefined)
    throw new GraphError(
      'DuplicateAxis',
      `gather: both sides have an axis '${clash.name}'; rename one`,
      site,
      table.axes,
    )
  return node({ op: 'gather' }, [table, index], [...index.axes, ...rest], table.dtype, site)
}

/**
 * Rows of the table's first axis.
 *
 * An index lies in 0 … rows − 1. One that inputs and literals determine by integer operations is checked before a call,
 * which fails with `BadInput` and names the input, the place and the value; a literal one is checked by `program`. Any
 * other (from states, or from fractions) is brought to the nearest row, on every engine alike.
 *
 * @example
 * const embeddings = input('embeddings', [axis('vocab', 100), axis('embed', 16)])
 * const inputIds = input('input_ids', [axis('batch', 2), axis('token', 8)], 'int32')
 * const embedded = gather(embeddings, inputIds) // Tensor<['batch', 'token', 'embed']>
 *
 * @category indexing
 */
export const gather = <T extends Names, I extends Names>(
  table: Tensor<T>,
  index: Tensor<I>,
): Tensor<T extends readonly [string, ...infer R extends Names] ? readonly [...I, ...R] : Names> =>
  gatherOf(table, index, siteOf(gather)) as never

/** A scatter-add node, for builders and adjoints. */
export const scatterAddOf = (index: Tensor, rows: Tensor, into: Axis, site: Site): Tensor => {
  if (index.dtype !== 'int32' || rows.dtype === 'bool')
    throw new GraphError(
      'BadDtype',
      `scatterAdd: rows of float32 or int32 by an int32 index are needed, not ${rows.dtype} by ${index.dtype}`,
      site,
      [...index.axes, ...rows.axes],
    )
  index.axes.forEach((a, i) => {
    const b = rows.axes[i]
    if (b === undefined || b.name !== a.name)
      throw new GraphError(
        'BadShape',
        `scatterAdd: the rows must begin with the index's axes`,
        site,
        rows.axes,
      )
    if (b.size !== a.size) throw sizeMismatch('scatterAdd', a, b, site)
  })
  const axes = [into, ...rows.axes.slice(index.axes.length)]
  distinct('scatterAdd', axes, site)
  return node({ op: 'scatterAdd' }, [index, rows], axes, rows.dtype, site)
}

/**
 * Adds each row to the place its index names: the adjoint of {@link gather}, with the same rule for indices out of range.
 *
 * @throws GraphError `BadShape`, `SizeMismatch`, `DuplicateAxis`
 * @category indexing
 */
export const scatterAdd = <R extends Names, const A extends string>(
  index: Tensor,
  rows: Tensor<R>,
  into: Axis<A>,
): Tensor => scatterAddOf(index, rows, into, siteOf(scatterAdd))
