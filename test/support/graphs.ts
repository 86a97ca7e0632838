/** Random small graphs for property tests: every primitive, random axes and orders, inputs that keep the numbers tame. */
import fc from 'fast-check'
import { type Axis, axis, elements } from '../../src/dsl/axis.ts'
import { composite } from '../../src/dsl/composite.ts'
import { contractOf } from '../../src/dsl/contract.ts'
import { binaryOf, castTo, compareOf, selectOf, stopGradient, unaryOf } from '../../src/dsl/elementwise.ts'
import { findAxis, node, type Tensor, topological } from '../../src/dsl/graph.ts'
import { gatherOf, scatterAddOf } from '../../src/dsl/indexing.ts'
import { zeros } from '../../src/dsl/init.ts'
import { constant, input, iota, scalar, state } from '../../src/dsl/leaves.ts'
import { reduceOf } from '../../src/dsl/reduce.ts'
import { broadcasted, renamed, reshaped, transposed } from '../../src/dsl/shape.ts'
import { random as stream } from '../../src/random/index.ts'

const site = { line: '' }

/** A graph and what its leaves hold. */
export interface Sample {
  readonly roots: readonly Tensor[]
  readonly feeds: { readonly inputs: Record<string, number[]>; readonly states: Record<string, number[]> }
}

/** Draws in [0, 1) that belong to a seed. */
export const random = (seed: number): (() => number) => stream('graphs', seed).next

/** `n` numbers between −2 and 2 with no ties to speak of. */
export const numbers = (n: number, next: () => number): number[] =>
  Array.from({ length: n }, () => Math.fround(next() * 4 - 2))

/** Axes of sizes 1 to 4 under these names, as a function of the generator. */
export const axesOf = (names: readonly string[], next: () => number): Axis[] =>
  names.map((n) => axis(n, 1 + Math.floor(next() * 4)))

/** The items in a random order. */
export const shuffled = <T>(items: readonly T[], next: () => number): T[] => {
  const left = [...items]
  const out: T[] = []
  while (left.length > 0) out.push(left.splice(Math.floor(next() * left.length), 1)[0]!)
  return out
}

/** Bounds what a function like exp sees, so that long chains stay finite. */
const tame = (x: Tensor): Tensor => unaryOf('tanh', x, site)

type Grow = (pool: readonly Tensor[], next: () => number) => Tensor | undefined

const ofDtype = (pool: readonly Tensor[], dtype: string, next: () => number): Tensor | undefined => {
  const fit = pool.filter((t) => t.dtype === dtype)
  // later nodes are likelier, so that graphs grow deep
  return fit[Math.floor(Math.sqrt(next()) * fit.length)]
}

const float = (pool: readonly Tensor[], next: () => number): Tensor => ofDtype(pool, 'float32', next)!

const states = (pool: readonly Tensor[]): Tensor[] =>
  pool.filter((t) => t.op.op === 'state' && t.axes.length > 1)

const some = <T>(items: readonly T[], next: () => number): T[] => items.filter(() => next() < 0.5)

const oneOf = <T>(items: readonly T[], next: () => number): T => items[Math.floor(next() * items.length)]!

const fits = (t: Tensor): boolean => elements(t.axes) <= 400 && t.axes.length <= 6

const steps: readonly Grow[] = [
  (p, r) =>
    unaryOf(
      oneOf(['neg', 'exp', 'tanh', 'erf', 'sigmoid', 'sin', 'cos', 'abs'] as const, r),
      tame(float(p, r)),
      site,
    ),
  (p, r) => {
    const x = float(p, r)
    return unaryOf(
      oneOf(['log', 'sqrt', 'rsqrt'] as const, r),
      binaryOf('add', binaryOf('mul', x, x, site), 1, site),
      site,
    )
  },
  (p, r) =>
    binaryOf(oneOf(['add', 'sub', 'mul', 'max', 'min'] as const, r), tame(float(p, r)), float(p, r), site),
  (p, r) =>
    binaryOf(
      oneOf(['add', 'sub', 'mul', 'div', 'pow'] as const, r),
      float(p, r),
      oneOf([0, 1, 0.5, -1], r),
      site,
    ),
  (p, r) => {
    const i = ofDtype(p, 'int32', r)!
    return binaryOf(oneOf(['add', 'mul', 'max'] as const, r), i, oneOf([0, 1, 3], r), site)
  },
  (p, r) => {
    // an odd shift keeps comparisons away from ties
    const y = binaryOf('add', float(p, r), 0.0137, site)
    return compareOf(oneOf(['less', 'lessEqual'] as const, r), float(p, r), y, site)
  },
  (p, r) => compareOf('equal', ofDtype(p, 'int32', r)!, ofDtype(p, 'int32', r)!, site),
  (p, r) => selectOf(ofDtype(p, 'bool', r)!, float(p, r), float(p, r), site),
  (p, r) => {
    const [a, b] = [ofDtype(p, 'bool', r)!, ofDtype(p, 'bool', r)!]
    const axes = selectOf(a, castTo(a, 'float32', site), castTo(b, 'float32', site), site).axes
    const under = (t: Tensor): Tensor => broadcasted(t, axes, site)
    return node(
      { op: 'logic', fn: oneOf(['and', 'or'] as const, r) },
      [under(a), under(b)],
      axes,
      'bool',
      site,
    )
  },
  (p, r) =>
    castTo(
      oneOf(
        p.filter((t) => t.dtype !== 'float32'),
        r,
      ),
      'float32',
      site,
    ),
  (p, r) => stopGradient(float(p, r)),
  (p, r) => {
    const x = float(p, r)
    return reduceOf(oneOf(['sum', 'max'] as const, r), x, some(x.names, r), site)
  },
  (p, r) => {
    const x = float(p, r)
    const over = oneOf(x.names, r)
    if (over === undefined) return undefined
    const op = oneOf(['softmax', 'logSoftmax', 'argmax'] as const, r)
    return op === 'argmax'
      ? node(
          { op, over },
          [x],
          x.axes.filter((a) => a.name !== over),
          'int32',
          site,
        )
      : node({ op, over }, [x], x.axes, 'float32', site)
  },
  (p, r) => {
    const turned = (t: Tensor): Tensor => transposed(t, r() < 0.5 ? t.names : shuffled(t.names, r), site)
    const [a, b] = [turned(tame(float(p, r))), turned(tame(float(p, r)))]
    const shared = a.names.filter((n) => findAxis(b, n))
    if (shared.length === 0) return undefined
    const over = [oneOf(shared, r), ...some(shared, r)]
    const axes = [...a.axes, ...b.axes.filter((x) => !findAxis(a, x.name))].filter(
      (x) => !over.includes(x.name),
    )
    return contractOf(
      a,
      b,
      [...new Set(over)],
      site,
      shuffled(axes, r).map((x) => x.name),
    )
  },
  (p, r) => {
    // two projections of one tensor, as q and k are
    const [w, v] = shuffled(states(p), r)
    const x = float(p, r)
    if (!findAxis(x, 'c') || findAxis(x, 'out')) return undefined
    const product = (t: Tensor): Tensor => contractOf(x, renamed(t, { b: 'out' }, site), ['c'], site)
    return binaryOf('mul', product(w!), unaryOf('sigmoid', product(v!), site), site)
  },
  (p, r) => {
    const x = float(p, r)
    return transposed(x, shuffled(x.names, r), site)
  },
  (p, r) => {
    const x = float(p, r)
    const from = oneOf(x.names, r)
    return from === undefined || findAxis(x, `${from}'`)
      ? undefined
      : renamed(x, { [from]: `${from}'` }, site)
  },
  (p, r) => {
    const x = float(p, r)
    return reshaped(x, [axis('flat', elements(x.axes))], site)
  },
  (p, r) => {
    const x = float(p, r)
    return findAxis(x, 'more') ? undefined : broadcasted(x, shuffled([...x.axes, axis('more', 2)], r), site)
  },
  (p, r) => {
    const x = float(p, r)
    const a = oneOf(x.axes, r)
    if (a === undefined) return undefined
    const start = Math.floor(r() * a.size)
    const size = 1 + Math.floor(r() * (a.size - start))
    // the name says what was cut, so that one name keeps one size
    const cut = axis(`${a.name}:${start}+${size}`, size)
    const part = node(
      { op: 'slice', along: a.name, start },
      [x],
      x.axes.map((b) => (b === a ? axis(a.name, size) : b)),
      x.dtype,
      site,
    )
    return findAxis(x, cut.name) ? undefined : renamed(part, { [a.name]: cut.name }, site)
  },
  (p, r) => {
    const x = float(p, r)
    const a = oneOf(x.axes, r)
    if (a === undefined || findAxis(x, `${a.name}~`)) return undefined
    const [before, after] = [Math.floor(r() * 3), Math.floor(r() * 3)]
    const wide = axis(a.name, before + a.size + after)
    const out = x.axes.map((b) => (b === a ? wide : b))
    const name = `${a.name}~${wide.size}`
    return findAxis(x, name)
      ? undefined
      : renamed(
          node({ op: 'pad', along: a.name, before, after }, [x], out, x.dtype, site),
          { [a.name]: name },
          site,
        )
  },
  (p, r) => {
    const x = float(p, r)
    const a = oneOf(x.axes, r)
    if (a === undefined) return undefined
    const parts = [x, unaryOf('neg', x, site), x].slice(0, 1 + Math.floor(r() * 3))
    const wide = axis(a.name, a.size * parts.length)
    const out = x.axes.map((b) => (b === a ? wide : b))
    const name = `${a.name}*${parts.length}`
    return findAxis(x, name)
      ? undefined
      : renamed(node({ op: 'concat', along: a.name }, parts, out, x.dtype, site), { [a.name]: name }, site)
  },
  (p, r) => {
    const x = float(p, r)
    const [first] = x.axes
    if (first === undefined || findAxis(x, 'pick')) return undefined
    const pick = axis('pick', 3)
    const index = constant(
      Int32Array.from({ length: 3 }, () => Math.floor(r() * first.size)),
      [pick],
    )
    if (r() < 0.5) return gatherOf(x, index, site)
    const rows = broadcasted(x, [pick, ...x.axes], site)
    return findAxis(x, 'into') ? undefined : scatterAddOf(index, rows, axis('into', first.size), site)
  },
  (p, r) => {
    const x = tame(float(p, r))
    return composite('silu', {}, binaryOf('mul', x, unaryOf('sigmoid', x, site), site), [x], site)
  },
]

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
