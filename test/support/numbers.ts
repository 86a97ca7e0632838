/** Graphs as plain functions of numbers: random values for every leaf by seed, and the evaluator around them. */
import * as assert from 'uvu/assert'
import { evaluate } from '../../src/dsl/evaluate.ts'
import {
  elements,
  fill,
  type Names,
  parametersOf,
  type Tensor,
  topological,
  uniform,
} from '../../src/dsl/index.ts'
import { maxRelativeError } from './fixtures.ts'

/** Values of leaves by name or key. */
export type Values = Readonly<Record<string, ArrayLike<number>>>

/** `n` numbers in ±limit that the seed and the name determine. */
export const numbers = (n: number, seed: number, name: string, limit = 1): Float32Array =>
  fill(uniform(limit), n, seed, name)

/** Random values for every parameter of these graphs, by key: the same key and seed give the same numbers. */
export const weights = (seed: number, ...roots: readonly Tensor[]): Record<string, Float32Array> =>
  Object.fromEntries(
    [...parametersOf(...roots)].map(([key, t]) => [key, numbers(elements(t.axes), seed, key)]),
  )

/** Random values for every float32 input of these graphs, by name. */
export const inputs = (seed: number, ...roots: readonly Tensor[]): Record<string, Float32Array> =>
  Object.fromEntries(
    topological(roots).flatMap((t) =>
      t.op.op === 'input' && t.dtype === 'float32'
        ? [[t.op.name, numbers(elements(t.axes), seed, `input ${t.op.name}`, 2)]]
        : [],
    ),
  )

/** The numbers of one graph; what is not given is random by the seed. */
export const value = (root: Tensor, seed: number, given: Values = {}, states: Values = {}): Float64Array =>
  evaluate([root], {
    inputs: { ...inputs(seed, root), ...given },
    states: { ...weights(seed, root), ...states },
  })[0]!

/** Fails where two arrays differ by more than float64 rounding. */
export const near = (got: ArrayLike<number>, want: ArrayLike<number>, what = '', to = 1e-10): void => {
  const error = maxRelativeError(got, want)
  assert.ok(error <= to, `${what}: relative error ${error}`)
}

/** Fails where two graphs of the same inputs and keys differ in axes or numbers. */
export const same = <A extends Names, B extends Names>(a: Tensor<A>, b: Tensor<B>, seed: number): void => {
  assert.equal(a.axes, b.axes)
  assert.equal(Object.keys(weights(seed, a)).sort(), Object.keys(weights(seed, b)).sort())
  near(value(a, seed), value(b, seed))
}
