/** Changing the axes of a tensor without changing its elements, and taking or joining parts. */
import { type Axis, as, elements, type Names, sameAxes, showAxes } from './axis.ts'
import { distinct, sizeMismatch, unknownAxis } from './axis-error.ts'
import { GraphError } from './error.ts'
import { findAxis, node, type Tensor } from './graph.ts'
import type { NamesOf } from './leaves.ts'
import type { Renamed, Replaced } from './names.ts'
import { type Site, siteOf } from './site.ts'

/** The axis of that name. @throws GraphError `UnknownAxis` */
export const axisOf = (what: string, t: Tensor, name: string, site: Site): Axis => {
  const found = findAxis(t, name)
  if (found === undefined) throw unknownAxis(what, name, t.axes, site)
  return found
}

const sameOrder = (a: readonly Axis[], b: readonly Axis[]): boolean =>
  a.length === b.length && a.every((x, i) => x.name === b[i]!.name)

/**
 * The same axes in another order.
 *
 * @throws GraphError `UnknownAxis` where the names are not those of the tensor
 * @category shape
 */
export const transpose = <N extends Names, const M extends readonly N[number][]>(
  t: Tensor<N>,
  order: M,
): Tensor<M> => {
  const site = siteOf(transpose)
  if (order.length !== t.axes.length || new Set(order).size !== order.length)
    throw new GraphError(
      'BadArgument',
      `transpose: the order ${order.join(', ')} must name each axis of ${showAxes(t.axes)} once`,
      site,
      t.axes,
    )
  return transposed(t, order, site) as Tensor<M>
}

/** {@link transpose} for builders: unchecked types, the caller's site. */
export const transposed = (t: Tensor, order: Names, site: Site): Tensor => {
  const axes = order.map((n) => axisOf('transpose', t, n, site))
  return sameOrder(axes, t.axes) ? t : node({ op: 'transpose' }, [t], axes, t.dtype, site)
}

/**
 * The same elements in the same order under other axes of the same total size.
 *
 * @throws GraphError `BadShape`, `DuplicateAxis`
 * @category shape
 */
export const reshape = <const A extends readonly Axis[]>(t: Tensor, axes: A): Tensor<NamesOf<A>> =>
  reshaped(t, axes, siteOf(reshape)) as Tensor<NamesOf<A>>

/** {@link reshape} for builders. */
export const reshaped = (t: Tensor, axes: readonly Axis[], site: Site): Tensor => {
  if (elements(axes) !== elements(t.axes))
    throw new GraphError(
      'BadShape',
      `reshape: ${showAxes(t.axes)} has ${elements(t.axes)} elements, ${showAxes(axes)} has ${elements(axes)}`,
      site,
      [...t.axes, ...axes],
    )
  distinct('reshape', axes, site)
  return sameAxes(axes, t.axes) ? t : node({ op: 'reshape' }, [t], axes, t.dtype, site)
}

/**
 * The same tensor with one axis called otherwise.
 *
 * @throws GraphError `UnknownAxis`, `DuplicateAxis`
 * @category shape
 */
export const rename = <N extends Names, const F extends N[number], const To extends string>(
  t: Tensor<N>,
  from: F,
  to: To,
): Tensor<Renamed<N, F, To>> => renamed(t, { [from]: to }, siteOf(rename)) as Tensor<Renamed<N, F, To>>

/** {@link rename} of several axes, for builders. */
export const renamed = (t: Tensor, names: Readonly<Record<string, string>>, site: Site): Tensor => {
  for (const from of Object.keys(names)) axisOf('rename', t, from, site)
  const axes = t.axes.map((a) => (names[a.name] === undefined ? a : as(a, names[a.name]!)))
  return reshaped(t, axes, site)
}

/**
 * Splits one axis into several, outermost first.
 *
 * @example
 * const x = input('x', [axis('token', 8), axis('embed', 16)])
 * const heads = splitAxis(x, 'embed', [axis('head', 2), axis('headDim', 8)]) // Tensor<['token', 'head', 'headDim']>
 *
 * @throws GraphError `UnknownAxis`, `BadShape`
 * @category shape
 */
export const splitAxis = <N extends Names, const F extends N[number], const A extends readonly Axis[]>(
  t: Tensor<N>,
  from: F,
  into: A,
): Tensor<Replaced<N, F, NamesOf<A>>> => {
  const site = siteOf(splitAxis)
  const whole = axisOf('splitAxis', t, from, site)
  if (elements(into) !== whole.size)
    throw new GraphError(
      'BadShape',
      `splitAxis: axis '${whole.name}' of size ${whole.size} cannot become ${showAxes(into)} (${elements(into)} elements)`,
      site,
      [whole, ...into],
    )
  return reshaped(
    t,
    t.axes.flatMap((a) => (a.name === from ? [...into] : [a])),
    site,
  ) as Tensor<Replaced<N, F, NamesOf<A>>>
}

/**
 * Merges neighbouring axes into one; they are first brought together at the place of the first, in the order given.
 *
 * @throws GraphError `UnknownAxis`, `SizeMismatch`
 * @category shape
 */
export const merge = (t: Tensor, from: Names, into: Axis): Tensor => {
  const site = siteOf(merge)
  const parts = from.map((n) => axisOf('merge', t, n, site))
  if (elements(parts) !== into.size)
    throw sizeMismatch('merge', { name: into.name, size: elements(parts) }, into, site)
  const first = from[0]!
  const order = t.axes.flatMap((a) => (a.name === first ? [...from] : from.includes(a.name) ? [] : [a.name]))
  const together = transposed(t, order, site)
  return reshaped(
    together,
    together.axes.flatMap((a) => (a.name === first ? [into] : from.includes(a.name) ? [] : [a])),
    site,
  )
}

/**
 * Repeats a tensor along new axes; `axes` are those of the result, the tensor's own among them.
 *
 * @throws GraphError `UnknownAxis`, `SizeMismatch`
 * @category shape
 */
export const broadcast = <const A extends readonly Axis[]>(t: Tensor, axes: A): Tensor<NamesOf<A>> =>
  broadcasted(t, axes, siteOf(broadcast)) as Tensor<NamesOf<A>>

/** {@link broadcast} for builders. */
export const broadcasted = (t: Tensor, axes: readonly Axis[], site: Site): Tensor => {
  distinct('broadcast', axes, site)
  for (const a of t.axes) {
    const b = axes.find((x) => x.name === a.name)
    if (b === undefined) throw unknownAxis('broadcast', a.name, axes, site)
    if (b.size !== a.size) throw sizeMismatch('broadcast', a, b, site)
  }
  const aligned = alignedTo(t, axes, site)
  return sameOrder(aligned.axes, axes) ? aligned : node({ op: 'broadcast' }, [aligned], axes, t.dtype, site)
}

/** The tensor with its axes in the order in which they occur in `axes` (a subsequence of them). */
export const alignedTo = (t: Tensor, axes: readonly Axis[], site: Site): Tensor =>
  transposed(
    t,
    axes.filter((a) => findAxis(t, a.name) !== undefined).map((a) => a.name),
    site,
  )

/**
 * `length` elements from `start` on, along one axis.
 *
 * @throws GraphError `UnknownAxis`, `BadArgument` where the range leaves the axis
 * @category shape
 */
export const slice = <N extends Names>(
  t: Tensor<N>,
  along: N[number],
  start: number,
  length: number,
): Tensor<N> => sliceOf(t, along, start, length, siteOf(slice)) as Tensor<N>

/** {@link slice} for builders. */
export const sliceOf = (t: Tensor, along: string, start: number, length: number, site: Site): Tensor => {
  const a = axisOf('slice', t, along, site)
  if (
    !Number.isInteger(start) ||
    !Number.isInteger(length) ||
    start < 0 ||
    length < 1 ||
    start + length > a.size
  )
    throw new GraphError(
      'BadArgument',
      `slice: ${start} … ${start + length - 1} leaves axis '${a.name}' of size ${a.size}`,
      site,
      t.axes,
    )
  if (length === a.size) return t
  return node(
    { op: 'slice', along, start },
    [t],
    t.axes.map((x) => (x.name === along ? { name: x.name, size: length } : x)),
    t.dtype,
    site,
  )
}

/**
 * Zeros before and after, along one axis.
 *
 * @throws GraphError `UnknownAxis`, `BadArgument`
 * @category shape
 */
export const pad = <N extends Names>(
  t: Tensor<N>,
  along: N[number],
  before: number,
  after: number,
): Tensor<N> => {
  const site = siteOf(pad)
  axisOf('pad', t, along, site)
  if (![before, after].every((n) => Number.isInteger(n) && n >= 0))
    throw new GraphError(
      'BadArgument',
      `pad: ${before} before and ${after} after must be whole and not negative`,
      site,
    )
  if (before === 0 && after === 0) return t
  return node(
    { op: 'pad', along, before, after },
    [t],
    t.axes.map((x) => (x.name === along ? { name: x.name, size: before + x.size + after } : x)),
    t.dtype,
    site,
  ) as Tensor<N>
}

/**
 * Tensors joined along one axis; their other axes are equal.
 *
 * @throws GraphError `UnknownAxis`, `SizeMismatch`, `BadDtype`, `BadArgument` where there is none
 * @category shape
 */
export const concat = <N extends Names>(parts: readonly Tensor<N>[], along: N[number]): Tensor<N> => {
  const site = siteOf(concat)
  const first = parts[0]
  if (first === undefined)
    throw new GraphError('BadArgument', 'concat: there is nothing to join; give at least one tensor', site)
  axisOf('concat', first, along, site)
  const order = first.axes.map((a) => a.name)
  const aligned = parts.map((p) => {
    for (const a of first.axes) {
      const b = axisOf('concat', p, a.name, site)
      if (a.name !== along && a.size !== b.size) throw sizeMismatch('concat', a, b, site)
    }
    for (const b of p.axes) axisOf('concat', first, b.name, site)
    if (p.dtype !== first.dtype)
      throw new GraphError(
        'BadDtype',
        `concat: ${first.dtype} and ${p.dtype} cannot be joined; cast one of them`,
        site,
        p.axes,
      )
    return transposed(p, order, site)
  })
  if (aligned.length === 1) return first
  const total = aligned.reduce((n, p) => n + findAxis(p, along)!.size, 0)
  return node(
    { op: 'concat', along },
    aligned,
    first.axes.map((x) => (x.name === along ? { name: x.name, size: total } : x)),
    first.dtype,
    site,
  ) as Tensor<N>
}
