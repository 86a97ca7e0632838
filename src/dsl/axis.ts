/**
 * Axes: the named dimensions that the whole language speaks of.
 *
 * @since 0.1.0
 */
import { GraphError } from './error.ts'
import { siteOf } from './site.ts'

/** A dimension that has a name known to the compiler and a size known when the graph is built. */
export interface Axis<N extends string = string> {
  readonly name: N
  readonly size: number
}

/** The names of a tensor's axes, outermost first. */
export type Names = readonly string[]

/**
 * Makes an axis.
 *
 * @example
 * const Embed = axis('embed', 192) // Axis<'embed'>
 *
 * @category constructors
 * @throws GraphError `BadArgument` where the name is empty or the size is not a positive whole number
 */
export const axis = <const N extends string>(name: N, size: number): Axis<N> => {
  if (typeof name !== 'string' || name === '')
    throw new GraphError(
      'BadArgument',
      `axis: its name is ${name === '' ? 'empty' : `no text: ${String(name)}`}; give one that says what the axis is, such as 'batch'`,
      siteOf(axis),
    )
  if (!Number.isInteger(size) || size <= 0)
    throw new GraphError(
      'BadArgument',
      `axis '${name}': its size must be a positive whole number, not ${size}`,
      siteOf(axis),
    )
  return { name, size }
}

/** The same size under another name: `as(Token, 'key')` for the second side of an attention score. */
export const as = <const N extends string>(a: Axis, name: N): Axis<N> => axis(name, a.size)

/** `batch 4 × token 12`: axes as an error message or a table writes them. */
export const showAxes = (axes: readonly Axis[]): string =>
  axes.length === 0 ? 'a scalar' : axes.map((a) => `${a.name} ${a.size}`).join(' × ')

/** Whether axes are the same, name by name and size by size. */
export const sameAxes = (a: readonly Axis[], b: readonly Axis[]): boolean =>
  a.length === b.length && a.every((x, i) => x.name === b[i]!.name && x.size === b[i]!.size)

/** The number of elements under these axes. */
export const elements = (axes: readonly Axis[]): number => axes.reduce((n, a) => n * a.size, 1)

/** The axes' sizes, outermost first. */
export const sizes = (axes: readonly Axis[]): number[] => axes.map((a) => a.size)
