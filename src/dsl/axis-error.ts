/** What can be wrong with the axes of an operation. */
import { didYouMean } from '../terminal/index.ts'
import { type Axis, showAxes } from './axis.ts'
import { GraphError } from './error.ts'
import type { Site } from './site.ts'

/** Two axes of one name must have one size. */
export const sizeMismatch = (what: string, a: Axis, b: Axis, site: Site): GraphError =>
  new GraphError(
    'SizeMismatch',
    `${what}: axis '${a.name}' has size ${a.size} on one side and ${b.size} on the other; give both the same Axis value, or rename one of them`,
    site,
    [a, b],
  )

/** An axis was named that the tensor does not have. */
export const unknownAxis = (what: string, name: string, have: readonly Axis[], site: Site): GraphError => {
  const meant = didYouMean(
    name,
    have.map((a) => a.name),
  )
  const told = `${what}: there is no axis '${name}' in ${showAxes(have)}${meant === '' ? '' : `.${meant}`}`
  return new GraphError('UnknownAxis', told, site, have)
}

/**
 * Checks that no two axes of a tensor have one name.
 *
 * @throws GraphError `DuplicateAxis`
 */
export const distinct = (what: string, axes: readonly Axis[], site: Site): void => {
  const twice = axes.find((a, i) => axes.findIndex((b) => b.name === a.name) !== i)
  if (twice !== undefined)
    throw new GraphError(
      'DuplicateAxis',
      `${what}: axis '${twice.name}' occurs twice in ${showAxes(axes)}; rename one of them with as(axis, 'other name')`,
      site,
      axes,
    )
}

/**
 * Checks that no axis is named twice to be taken away once.
 *
 * @throws GraphError `BadArgument`
 */
export const namedOnce = (
  what: string,
  names: readonly string[],
  site: Site,
  axes: readonly Axis[],
): void => {
  const twice = names.find((n, i) => names.indexOf(n) !== i)
  if (twice !== undefined)
    throw new GraphError('BadArgument', `${what}: axis '${twice}' is named twice; name it once`, site, axes)
}
