/** What callers of plain JavaScript give in place of tensors. */
import { kindOf } from '../settings/index.ts'
import { GraphError } from './error.ts'
import type { Site } from './site.ts'

/** Sees that operands are tensors, or numbers where those may stand. @throws GraphError `BadArgument` */
export const onlyTensors = (what: string, given: readonly unknown[], site: Site, orNumbers = true): void => {
  for (const x of given) {
    const isTensor = typeof x === 'object' && x !== null && 'op' in x && 'axes' in x
    if (!isTensor && !(orNumbers && typeof x === 'number'))
      throw new GraphError(
        'BadArgument',
        `${what}: no tensor${orNumbers ? ' and no number' : ''} but ${kindOf(x)}; give one, such as input(…) or what a layer gives`,
        site,
      )
  }
}
