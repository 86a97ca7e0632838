/** What can be wrong with the axes of an operation. */
import { kindOf } from '../settings/index.ts'
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

const isAxis = (x: unknown): x is Axis =>
  typeof (x as Axis | undefined)?.name === 'string' && typeof (x as Axis).size === 'number'

/** An axis was named that the tensor does not have, or by something else than its name. */
export const unknownAxis = (what: string, name: string, have: readonly Axis[], site: Site): GraphError => {
  const given: unknown = name
  if (typeof given !== 'string') {
    const meant = isAxis(given) ? `the axis itself; give its name, '${given.name}'` : kindOf(given)
    return new GraphError(
      'BadArgument',
      `${what}: an axis is asked for by its name, and this is ${meant}`,
      site,
      have,
    )
  }
  const meant = didYouMean(
    name,
    have.map((a) => a.name),
  )
  const told = `${what}: there is no axis '${name}' in ${showAxes(have)}${meant === '' ? '' : `.${meant}`}`
  return new GraphError('UnknownAxis', told, site, have)
}

/**
 * Checks that the axes of a tensor are axes, no two of them with one name.
 *
 * @throws GraphError `DuplicateAxis`, `BadArgument`
 */
export const distinct = (what: string, axes: readonly Axis[], site: Site): void => {
  const odd = axes.findIndex((a) => !isAxis(a))
  if (odd >= 0)
    throw new GraphError(
      'BadArgument',
      `${what}: axes[${odd}] is ${kindOf(axes[odd])}; give an axis, such as axis('batch', 8)`,
      site,
    )
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
