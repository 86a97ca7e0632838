/**
 * Random nodes of every primitive, with feeds: what an engine computes is held against the reference evaluator.
 */
import * as fc from 'fast-check'
import { type Axis, axis, elements } from '../../src/dsl/axis.ts'
import { add, cast as castTo, equal, mul } from '../../src/dsl/elementwise.ts'
import {
  type BinaryFn,
  type CompareFn,
  type Dtype,
  node,
  type Op,
  type OpName,
  type Scalar,
  type Tensor,
  type UnaryFn,
} from '../../src/dsl/graph.ts'
import { loop } from '../../src/dsl/loop.ts'
import type { TensorValue } from '../../src/engine/session.ts'
import { random } from '../../src/random/index.ts'

/** A node over inputs, and values for these. */
export interface Case {
  readonly root: Tensor
  readonly inputs: Readonly<Record<string, TensorValue>>
}

const site = { line: 'primitives.ts:1:1' }
const letters = ['a', 'b', 'c', 'd', 'e']

/** Numbers of a dtype in a range, from a seed: fast-check shrinks shapes, not each element. */
const numbers = (
  dtype: Dtype,
  size: number,
  seed: number,
  low: number,
  high: number,
): TensorValue['data'] => {
  const { next } = random('primitives', seed)
  if (dtype === 'float32') return Float32Array.from({ length: size }, () => low + next() * (high - low))
  if (dtype === 'int32')
    return Int32Array.from({ length: size }, () => Math.floor(low + next() * (high - low)))
  return Uint8Array.from({ length: size }, () => (next() < 0.5 ? 0 : 1))
}

/** Collects a case's inputs. */
class Feed {
  readonly inputs: Record<string, TensorValue> = {}
  readonly #seed: number
  constructor(seed: number) {
    this.#seed = seed
  }
  give(axes: readonly Axis[], dtype: Dtype, low = -2, high = 2): Tensor {
    const name = `x${Object.keys(this.inputs).length}`
    const data = numbers(dtype, elements(axes), this.#seed + name.charCodeAt(1) * 7919, low, high)
    this.inputs[name] = { shape: axes.map((a) => a.size), dtype, data }
    return node({ op: 'input', name }, [], axes, dtype, site)
  }
}

const seeds = fc.nat(1_000_000)

/** Axes a, b, … of sizes 1 to 5. */
const someAxes = (least: number, most: number): fc.Arbitrary<Axis[]> =>
  fc
    .array(fc.integer({ min: 1, max: 5 }), { minLength: least, maxLength: most })
    .map((ns) => ns.map((n, i) => axis(letters[i]!, n)))

const subsequence = (axes: readonly Axis[]): fc.Arbitrary<Axis[]> =>
  fc
    .array(fc.boolean(), { minLength: axes.length, maxLength: axes.length })
    .map((keep) => axes.filter((_, i) => keep[i]))

const shuffled = (axes: readonly Axis[]): fc.Arbitrary<Axis[]> =>
  fc.shuffledSubarray([...axes], { minLength: axes.length, maxLength: axes.length })

/** Axes with, for each operand, a subsequence of them; together they span all. */
const broadcastable = (operands: number): fc.Arbitrary<{ axes: Axis[]; parts: Axis[][] }> =>
  someAxes(0, 4).chain((axes) =>
    fc.tuple(...Array.from({ length: operands }, () => subsequence(axes))).map((parts) => ({
      axes: axes.filter((a) => parts.some((p) => p.includes(a))),
      parts,
    })),
  )

const numeric = fc.constantFrom<Dtype>('float32', 'int32')
const anyDtype = fc.constantFrom<Dtype>('float32', 'int32', 'bool')

const ranges: Partial<Record<UnaryFn, readonly [number, number]>> = {
  log: [0.1, 5],
  sqrt: [0, 5],
  rsqrt: [0.1, 5],
}

const unary = fc
  .tuple(
    someAxes(0, 4),
    fc.constantFrom<UnaryFn>(
      'neg',
      'exp',
      'log',
      'sqrt',
      'rsqrt',
      'tanh',
      'erf',
      'sigmoid',
      'sin',
      'cos',
      'abs',
      'floor',
      'not',
    ),
    numeric,
    seeds,
  )
  .map(([axes, fn, wanted, seed]): Case => {
    const dtype = fn === 'not' ? 'bool' : fn === 'neg' || fn === 'abs' ? wanted : 'float32'
    const feed = new Feed(seed)
    const x = feed.give(axes, dtype, ...(ranges[fn] ?? [-3, 3]))
    return { root: node({ op: 'unary', fn }, [x], axes, dtype, site), inputs: feed.inputs }
  })

const pairwise = (
  make: (wanted: Dtype) => { op: Op; of: Dtype; to: Dtype; low?: number },
): fc.Arbitrary<Case> =>
  fc.tuple(broadcastable(2), numeric, seeds).map(([{ axes, parts }, wanted, seed]) => {
    const { op, of, to, low } = make(wanted)
    const feed = new Feed(seed)
    const xs = parts.map((p) => feed.give(p, of, low ?? -3, 3))
    return { root: node(op, xs, axes, to, site), inputs: feed.inputs }
  })

const binary = fc.constantFrom<BinaryFn>('add', 'sub', 'mul', 'div', 'max', 'min', 'pow').chain((fn) =>
  pairwise((wanted) => {
    const dtype = fn === 'div' || fn === 'pow' ? 'float32' : wanted
    return {
      op: { op: 'binary', fn },
      of: dtype,
      to: dtype,
      ...(fn === 'div' || fn === 'pow' ? { low: 0.2 } : {}),
    }
  }),
)
const compare = fc
  .constantFrom<CompareFn>('equal', 'less', 'lessEqual')
  .chain((fn) => pairwise((wanted) => ({ op: { op: 'compare', fn }, of: wanted, to: 'bool' })))
const logic = fc
  .constantFrom<'and' | 'or'>('and', 'or')
  .chain((fn) => pairwise(() => ({ op: { op: 'logic', fn }, of: 'bool', to: 'bool' })))

const select = fc.tuple(broadcastable(3), anyDtype, seeds).map(([{ axes, parts }, dtype, seed]): Case => {
  const feed = new Feed(seed)
  const c = feed.give(parts[0]!, 'bool')
  const [a, b] = [feed.give(parts[1]!, dtype), feed.give(parts[2]!, dtype)]
  return { root: node({ op: 'select' }, [c, a, b], axes, dtype, site), inputs: feed.inputs }
})

const cast = fc.tuple(someAxes(0, 3), anyDtype, anyDtype, seeds).map(([axes, from, to, seed]): Case => {
  const feed = new Feed(seed)
  return { root: node({ op: 'cast' }, [feed.give(axes, from)], axes, to, site), inputs: feed.inputs }
})

const stopGradient = fc.tuple(someAxes(0, 3), anyDtype, seeds).map(([axes, dtype, seed]): Case => {
  const feed = new Feed(seed)
  return {
    root: node({ op: 'stopGradient' }, [feed.give(axes, dtype)], axes, dtype, site),
    inputs: feed.inputs,
  }
})

const reduce = fc
  .tuple(someAxes(1, 5), fc.constantFrom<'sum' | 'max'>('sum', 'max'), numeric, seeds)
  .chain(([axes, fn, dtype, seed]) =>
    fc.subarray(axes, { minLength: 1 }).chain((over) =>
      shuffled(over).map((order): Case => {
        const feed = new Feed(seed)
        const kept = axes.filter((a) => !over.includes(a))
        const op: Op = { op: 'reduce', fn, over: order.map((a) => a.name) }
        return { root: node(op, [feed.give(axes, dtype)], kept, dtype, site), inputs: feed.inputs }
      }),
    ),
  )

const alongOne = (
  make: (axes: readonly Axis[], a: Axis, feed: Feed, n: number) => Tensor,
): fc.Arbitrary<Case> =>
  fc.tuple(someAxes(1, 4), fc.nat(3), fc.nat(4), seeds).map(([axes, place, n, seed]) => {
    const feed = new Feed(seed)
    return { root: make(axes, axes[place % axes.length]!, feed, n), inputs: feed.inputs }
  })

const argmax = alongOne((axes, a, feed, n) =>
  node(
    { op: 'argmax', over: a.name },
    // whole numbers from a small range make ties
    [n % 2 === 0 ? feed.give(axes, 'int32', 0, 2) : feed.give(axes, 'float32')],
    axes.filter((x) => x !== a),
    'int32',
    site,
  ),
)
const softmax = alongOne((axes, a, feed) =>
  node({ op: 'softmax', over: a.name }, [feed.give(axes, 'float32', -8, 8)], axes, 'float32', site),
)
const logSoftmax = alongOne((axes, a, feed) =>
  node({ op: 'logSoftmax', over: a.name }, [feed.give(axes, 'float32', -8, 8)], axes, 'float32', site),
)

/** Batch, free and summed axes in any order in each operand and in the result. */
const contract = fc
  .tuple(fc.nat(2), fc.nat(2), fc.nat(2), fc.integer({ min: 1, max: 2 }))
  .chain(([b, m, n, k]) =>
    fc
      .array(fc.integer({ min: 1, max: 5 }), { minLength: b + m + n + k, maxLength: b + m + n + k })
      .chain((ns) => {
        const all = ns.map((s, i) =>
          axis(`${i < b ? 'batch' : i < b + m ? 'm' : i < b + m + n ? 'n' : 'k'}${i}`, s),
        )
        const [batch, left, right, sum] = [
          all.slice(0, b),
          all.slice(b, b + m),
          all.slice(b + m, b + m + n),
          all.slice(b + m + n),
        ]
        return fc
          .tuple(
            shuffled([...batch, ...left, ...sum]),
            shuffled([...batch, ...right, ...sum]),
            fc.oneof(shuffled([...batch, ...left, ...right]), fc.constant([...batch, ...left, ...right])),
            shuffled(sum),
            seeds,
          )
          .map(([x, y, out, over, seed]): Case => {
            const feed = new Feed(seed)
            const op: Op = { op: 'contract', over: over.map((a) => a.name) }
            return {
              root: node(op, [feed.give(x, 'float32'), feed.give(y, 'float32')], out, 'float32', site),
              inputs: feed.inputs,
            }
          })
      }),
  )

/** All axes merged into one, and one split again. */
const reshape = fc
  .tuple(someAxes(1, 4), anyDtype, fc.boolean(), seeds)
  .map(([axes, dtype, back, seed]): Case => {
    const feed = new Feed(seed)
    const x = feed.give(axes, dtype)
    const merged = node({ op: 'reshape' }, [x], [axis('all', elements(axes))], dtype, site)
    const renamed = [...axes].reverse().map((a, i) => axis(`r${i}`, a.size))
    return {
      root: back ? node({ op: 'reshape' }, [merged], renamed, dtype, site) : merged,
      inputs: feed.inputs,
    }
  })

const transpose = fc.tuple(someAxes(1, 4), anyDtype, seeds).chain(([axes, dtype, seed]) =>
  shuffled(axes).map((to): Case => {
    const feed = new Feed(seed)
    return { root: node({ op: 'transpose' }, [feed.give(axes, dtype)], to, dtype, site), inputs: feed.inputs }
  }),
)

const broadcast = fc.tuple(someAxes(0, 4), anyDtype, seeds).chain(([axes, dtype, seed]) =>
  subsequence(axes).map((part): Case => {
    const feed = new Feed(seed)
    return {
      root: node({ op: 'broadcast' }, [feed.give(part, dtype)], axes, dtype, site),
      inputs: feed.inputs,
    }
  }),
)

const resized = (axes: readonly Axis[], a: Axis, size: number): Axis[] =>
  axes.map((x) => (x === a ? axis(a.name, size) : x))

const slice = alongOne((axes, a, feed, n) => {
  const start = n % a.size
  const to = resized(axes, a, a.size - start)
  return node({ op: 'slice', along: a.name, start }, [feed.give(axes, 'float32')], to, 'float32', site)
})
const pad = alongOne((axes, a, feed, n) => {
  const [before, after] = [n, 4 - n]
  const dtype = (['float32', 'int32', 'bool'] as const)[n % 3]!
  const to = resized(axes, a, before + a.size + after)
  return node({ op: 'pad', along: a.name, before, after }, [feed.give(axes, dtype)], to, dtype, site)
})
const concat = alongOne((axes, a, feed, n) => {
  const dtype = (['float32', 'int32', 'bool'] as const)[n % 3]!
  const parts = Array.from({ length: 1 + (n % 3) }, (_, i) => resized(axes, a, i + 1))
  const whole = parts.reduce((s, _, i) => s + i + 1, 0)
  return node(
    { op: 'concat', along: a.name },
    parts.map((p) => feed.give(p, dtype)),
    resized(axes, a, whole),
    dtype,
    site,
  )
})

const rows = fc.tuple(
  fc.integer({ min: 1, max: 7 }),
  fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 2 }),
  fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 2 }),
  seeds,
)
const gather = fc.tuple(rows, anyDtype).map(([[size, is, rs, seed], dtype]): Case => {
  const feed = new Feed(seed)
  const [index, rest] = [is.map((n, i) => axis(`i${i}`, n)), rs.map((n, i) => axis(`r${i}`, n))]
  const table = feed.give([axis('row', size), ...rest], dtype)
  return {
    root: node(
      { op: 'gather' },
      [table, feed.give(index, 'int32', 0, size)],
      [...index, ...rest],
      dtype,
      site,
    ),
    inputs: feed.inputs,
  }
})
/** Small first axes, and large ones, where engines change their way. */
const scatterAdd = fc
  .tuple(rows, fc.constantFrom(0, 400, 5000), numeric)
  .map(([[size, is, rs, seed], more, dtype]): Case => {
    const feed = new Feed(seed)
    const [index, rest] = [is.map((n, i) => axis(`i${i}`, n)), rs.map((n, i) => axis(`r${i}`, n))]
    return {
      root: node(
        { op: 'scatterAdd' },
        [feed.give(index, 'int32', 0, size), feed.give([...index, ...rest], dtype)],
        [axis('row', size + more), ...rest],
        dtype,
        site,
      ),
      inputs: feed.inputs,
    }
  })

/** Rows that choose among 1 to 4 matrices, some of which nobody chooses. */
const chosen = fc
  .tuple(
    fc.integer({ min: 1, max: 4 }),
    fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 0, maxLength: 2 }),
    fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 4 }), fc.boolean()),
    seeds,
  )
  .map(([of, is, [k, n, turned], seed]) => {
    const feed = new Feed(seed)
    const index = is.map((size, i) => axis(`i${i}`, size))
    const [summed, out] = [axis('k', k), axis('n', n)]
    const matrix = turned ? [summed, out] : [out, summed]
    return { of, feed, index, summed, out, matrix, choice: feed.give(index, 'int32', 0, of) }
  })
const contractChosen = chosen.map(({ of, feed, index, summed, out, matrix, choice }): Case => {
  const matrices = Array.from({ length: of }, () => feed.give(matrix, 'float32'))
  const inputs = [feed.give([...index, summed], 'float32'), choice, ...matrices]
  const root = node({ op: 'contractChosen', over: 'k' }, inputs, [...index, out], 'float32', site)
  return { root, inputs: feed.inputs }
})
const outerChosen = chosen.map(({ of, feed, index, summed, out, matrix, choice }): Case => {
  const inputs = [feed.give([...index, summed], 'float32'), feed.give([...index, out], 'float32'), choice]
  const op = { op: 'outerChosen', choice: of - 1, of } as const
  return { root: node(op, inputs, matrix, 'float32', site), inputs: feed.inputs }
})

/** Steps over numbers and over what has been counted, with something that stays; some say when they are done. */
const repeated = fc
  .tuple(someAxes(0, 3), fc.integer({ min: 0, max: 4 }), fc.option(fc.integer({ min: 0, max: 4 })), seeds)
  .map(([axes, times, last, seed]): Case => {
    const feed = new Feed(seed)
    const [y, k, c] = [feed.give(axes, 'float32'), feed.give([], 'int32', 0, 5), feed.give(axes, 'float32')]
    const made = loop({
      times,
      carried: { k, y },
      step: (now, i) => ({
        next: { k: add(now.k, add(i, 1)), y: add(mul(now.y, c), castTo(now.k, 'float32')) },
        ...(last === null ? {} : { done: equal(i, last) as Scalar }),
      }),
    })
    return { root: seed % 2 === 0 ? made.y : made.k, inputs: feed.inputs }
  })

const iota = fc.integer({ min: 1, max: 9 }).map(
  (n): Case => ({
    root: node({ op: 'iota' }, [], [axis('a', n)], 'int32', site),
    inputs: {},
  }),
)
const constant = fc.tuple(someAxes(0, 3), anyDtype, seeds).map(
  ([axes, dtype, seed]): Case => ({
    root: node({ op: 'constant', data: numbers(dtype, elements(axes), seed, -9, 9) }, [], axes, dtype, site),
    inputs: {},
  }),
)

/** One generator for each primitive that computes something. */
export const primitives: Readonly<
  Record<Exclude<OpName, 'input' | 'state' | 'composite' | 'argument'>, fc.Arbitrary<Case>>
> = {
  constant,
  iota,
  unary,
  binary,
  compare,
  logic,
  select,
  cast,
  stopGradient,
  reduce,
  argmax,
  softmax,
  logSoftmax,
  contract,
  reshape,
  transpose,
  broadcast,
  slice,
  pad,
  concat,
  gather,
  scatterAdd,
  contractChosen,
  outerChosen,
  loop: repeated,
}
