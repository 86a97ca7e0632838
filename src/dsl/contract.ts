/** The one general product of tensors: Σ over axes by name. */
import { type Axis, type Names, showAxes } from './axis.ts'
import { namedOnce, sizeMismatch } from './axis-error.ts'
import { GraphError } from './error.ts'
import { findAxis, node, type Tensor } from './graph.ts'
import type { Contracted } from './names.ts'
import { axisOf } from './shape.ts'
import { type Site, siteOf } from './site.ts'

/** A contraction node with the result's axes in canonical order, or in the order given. */
export const contractOf = (a: Tensor, b: Tensor, over: Names, site: Site, order?: Names): Tensor => {
  if (a.dtype !== 'float32' || b.dtype !== 'float32')
    throw new GraphError(
      'BadDtype',
      `contract: ${a.dtype} and ${b.dtype} where float32 is needed`,
      site,
      a.axes,
    )
  for (const n of over) {
    axisOf(`contract over '${n}', first operand`, a, n, site)
    axisOf(`contract over '${n}', second operand`, b, n, site)
  }
  namedOnce('contract', over, site, a.axes)
  for (const x of a.axes) {
    const y = findAxis(b, x.name)
    if (y !== undefined && y.size !== x.size) throw sizeMismatch('contract', x, y, site)
  }
  const kept = (t: Tensor): Axis[] => t.axes.filter((x) => !over.includes(x.name))
  const batch = kept(a).filter((x) => findAxis(b, x.name))
  const shared = batch.map((x) => x.name)
  const rest = (t: Tensor): Axis[] => kept(t).filter((x) => !shared.includes(x.name))
  const axes = [...batch, ...rest(a), ...rest(b)]
  if (order !== undefined && (order.length !== axes.length || !axes.every((x) => order.includes(x.name))))
    throw new GraphError(
      'BadArgument',
      `contract: the order ${order.join(', ')} must name each axis of ${showAxes(axes)} once`,
      site,
      axes,
    )
  const ordered = order === undefined ? axes : order.map((n) => axes.find((x) => x.name === n)!)
  return node({ op: 'contract', over }, [a, b], ordered, 'float32', site)
}

/**
 * Σ over the named axes of a · b. Axes of the same name that are not summed are batch axes.
 *
 * @example
 * const [Head, HeadDim] = [axis('head', 2), axis('headDim', 8)]
 * const query = input('query', [Head, axis('query', 3), HeadDim])
 * const key = input('key', [Head, axis('key', 5), HeadDim])
 * const scores = contract(query, key, 'headDim') // Tensor<['head', 'query', 'key']>
 *
 * @throws GraphError `UnknownAxis`, `SizeMismatch`, `BadArgument` for an axis that is named twice
 * @category products
 */
export const contract = <A extends Names, B extends Names, const K extends A[number] & B[number]>(
  a: Tensor<A>,
  b: Tensor<B>,
  ...over: readonly K[]
): Tensor<Contracted<A, B, K>> => contractOf(a, b, over, siteOf(contract)) as Tensor<Contracted<A, B, K>>
