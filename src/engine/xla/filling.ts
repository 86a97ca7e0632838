/** States that begin with one number everywhere, as a program that makes them where they lie. */
import { broadcast, type StateSpec, scalar, type Tensor, type Variant } from '../../dsl/index.ts'
import { repeated } from '../values.ts'

/** The number that all elements of a state begin with; undefined where they are drawn, and for bools. */
const numberOf = (spec: StateSpec): number | undefined => (spec.dtype === 'bool' ? undefined : repeated(spec))

/** Of some states those that begin with one number everywhere. */
export const uniformOf = (specs: readonly StateSpec[]): readonly StateSpec[] =>
  specs.filter((s) => numberOf(s) !== undefined)

/** A function that replaces such states by what they begin with, and reads none. */
export const filling = (specs: readonly StateSpec[]): Variant => {
  const full = (s: StateSpec): Tensor => broadcast(scalar(numberOf(s)!, s.dtype), s.axes)
  return {
    ...{ inputs: new Map(), states: new Map(), outputs: {} },
    next: new Map(specs.map((s) => [s.key, full(s)])),
  }
}
