/** Random small graphs for property tests: every primitive and composite, inputs that keep the numbers tame. */
import fc from 'fast-check'
import { type Axis, elements } from '../../src/dsl/axis.ts'
import { type Tensor, topological } from '../../src/dsl/graph.ts'
import { zeros } from '../../src/dsl/init.ts'
import { constant, input, iota, scalar, state } from '../../src/dsl/leaves.ts'
import { random as stream } from '../../src/random/index.ts'
import { fits, steps } from './graph-steps.ts'
import { axesOf, numbers, random } from './random.ts'

export { axesOf, numbers, random, shuffled } from './random.ts'

/** A graph and what its leaves hold. */
export interface Sample {
  readonly roots: readonly Tensor[]
  readonly feeds: { readonly inputs: Record<string, number[]>; readonly states: Record<string, number[]> }
}

/**
 * Builds a graph from plain numbers, so that fast-check can shrink it: sizes and values from `seed`, one node for each number
 * of `plan` that applies.
 */
export const grow = (seed: number, plan: readonly number[]): Sample => {
  const next = random(seed)
  const [a, b, c] = axesOf(['a', 'b', 'c'], next) as [Axis, Axis, Axis]
  const pool: Tensor[] = [
    input('x', [a, b, c]),
    input('y', [c, a]),
    state('w', [b, c], zeros),
    state('v', [b, c], zeros),
    state('u', [c], zeros),
    input('i', [b], 'int32'),
    input('m', [a, b], 'bool'),
    iota(b),
    constant(Float32Array.from(numbers(c.size, next)), [c]),
    constant(
      Uint8Array.from({ length: b.size }, () => (next() < 0.5 ? 1 : 0)),
      [b],
    ),
    scalar(2),
  ]
  const leaves = pool.length
  for (const step of plan) {
    try {
      const t = steps[step % steps.length]!(pool, stream('graphs', seed, step, pool.length).next)
      if (t !== undefined && fits(t)) pool.push(t)
    } catch (e) {
      // operands that happen to clash (one name of two sizes, an axis twice) give no node
      if ((e as Error).name !== 'GraphError') throw e
    }
  }
  const used = new Set(pool.flatMap((t) => t.inputs))
  const ends = pool.slice(leaves).filter((t) => !used.has(t))
  const roots = ends.length > 0 ? ends : [pool[0]!]
  const feeds = { inputs: {} as Record<string, number[]>, states: {} as Record<string, number[]> }
  for (const t of topological([...roots, ...pool.slice(0, leaves)])) {
    const n = elements(t.axes)
    if (t.op.op === 'state') feeds.states[t.op.key] = numbers(n, next)
    if (t.op.op === 'input')
      feeds.inputs[t.op.name] =
        t.dtype === 'float32'
          ? numbers(n, next)
          : Array.from({ length: n }, () => Math.floor(next() * (t.dtype === 'bool' ? 2 : 5)))
  }
  return { roots, feeds }
}

/** Random graphs of up to `size` steps. */
export const graphs = (size = 30): fc.Arbitrary<Sample> =>
  fc
    .tuple(fc.integer(), fc.array(fc.nat(1_000_000), { minLength: Math.ceil(size / 2), maxLength: size }))
    .map(([seed, plan]) => grow(seed, plan))

/** The largest difference relative to `1 + |a|`; infinite where one is a number and the other is not. */
export const distance = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY
  let worst = 0
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i]!, b[i]!]
    if (Object.is(x, y) || x === y) continue
    const d = Math.abs(x - y) / (1 + Math.abs(x))
    if (!(d <= worst)) worst = Number.isNaN(d) ? Number.POSITIVE_INFINITY : d
  }
  return worst
}
