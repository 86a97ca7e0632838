/**
 * Whether an engine computes what a graph means: its numbers in float32 against those of the reference evaluator, as far
 * as float32 can tell.
 */
import { nodeValue } from '../../src/dsl/evaluate.ts'
import { type Tensor, topological } from '../../src/dsl/graph.ts'
import { random } from './random.ts'

/** What the leaves of a graph hold. */
export interface Held {
  readonly inputs: Readonly<Record<string, ArrayLike<number>>>
  readonly states: Readonly<Record<string, ArrayLike<number>>>
}

/** A root's numbers, and by how much rounding may move each. */
export interface Expected {
  readonly values: Float64Array
  readonly slack: Float64Array
  /** Whether every number on the way is finite and moderate, so that float32 can follow. */
  readonly tame: boolean
}

/** Operations that round; the others hand their operands' numbers on. */
const rounds = (t: Tensor): boolean =>
  t.dtype === 'float32' &&
  ((t.op.op === 'binary' && t.op.fn !== 'max' && t.op.fn !== 'min') ||
    (t.op.op === 'unary' && !['neg', 'abs', 'floor'].includes(t.op.fn)) ||
    (t.op.op === 'reduce' && t.op.fn === 'sum') ||
    ['softmax', 'logSoftmax', 'contract', 'scatterAdd', 'contractChosen', 'outerChosen'].includes(t.op.op))

/** A relative error per operation, some times what float32 makes. */
const noise = 1e-6

const evaluated = (roots: readonly Tensor[], feeds: Held, next?: () => number): Map<Tensor, Float64Array> => {
  const values = new Map<Tensor, Float64Array>()
  const children = (t: Tensor): readonly Tensor[] =>
    t.op.op === 'composite' ? t.inputs.slice(0, 1) : t.inputs
  for (const t of topological(roots, children)) {
    const v = nodeValue(
      t,
      children(t).map((x) => values.get(x)!),
      feeds,
    )
    values.set(t, next !== undefined && rounds(t) ? v.map((x) => x * (1 + noise * (2 * next() - 1))) : v)
  }
  return values
}

const moderate = (v: Float64Array): boolean => v.every((x) => Math.abs(x) < 1e6)

/** What the roots are worth, and how far three evaluations with a little noise in every operation move. */
export const expected = (roots: readonly Tensor[], feeds: Held): readonly Expected[] => {
  const exact = evaluated(roots, feeds)
  const noisy = [1, 2, 3].map((seed) => evaluated(roots, feeds, random(seed)))
  const wild = new Map<Tensor, boolean>()
  for (const [t, v] of exact) wild.set(t, !moderate(v) || t.inputs.some((x) => wild.get(x) === true))
  return roots.map((r) => {
    const values = exact.get(r)!
    const others = noisy.map((n) => n.get(r)!)
    const scale = values.reduce((m, x) => Math.max(m, Math.abs(x)), 1)
    const slack = values.map(
      (x, i) =>
        others.reduce((m, o) => Math.max(m, 8 * Math.abs(o[i]! - x)), 0) +
        (r.dtype === 'float32' ? 2e-5 * scale : 0),
    )
    return { values, slack, tame: wild.get(r) !== true }
  })
}

/** Where the numbers are not those expected: a sentence, or undefined. */
export const disagreement = (want: Expected, got: ArrayLike<number>): string | undefined => {
  if (got.length !== want.values.length) return `${got.length} elements for ${want.values.length}`
  if (!want.tame) return undefined
  for (let i = 0; i < got.length; i++)
    // a slack that is no number says that noise made the number cease to exist
    if (!(Math.abs(got[i]! - want.values[i]!) <= want.slack[i]!) && !Number.isNaN(want.slack[i]!))
      return `element ${i} of ${got.length} is ${got[i]} and should be ${want.values[i]} ± ${want.slack[i]}`
  return undefined
}
