/**
 * The reference evaluator: a graph's numbers in plain float64, one primitive after the other.
 *
 * It says what the primitives mean. Central differences and constant folding use it; it is not made for speed.
 *
 * @since 0.1.0
 */
import { onlySettings } from '../settings/index.ts'
import { type Axis, elements, showAxes } from './axis.ts'
import { erf64 } from './erf.ts'
import { GraphError } from './error.ts'
import {
  type BinaryFn,
  type CompareFn,
  type Dtype,
  type LoopBody,
  type Op,
  type Tensor,
  topological,
} from './graph.ts'
import { takesTarget } from './index-uses.ts'
import { bodyRoots } from './loop.ts'
import { clampIndices } from './passes/clamp-indices.ts'

/** Numbers by name, row-major: a record or a map. Bools are 0 and 1. */
export type Numbers = Readonly<Record<string, ArrayLike<number>>> | ReadonlyMap<string, ArrayLike<number>>

/** What the leaves of a graph hold. */
export interface Feeds {
  /** What a loop's body is given, by place. */
  readonly arguments?: readonly Float64Array[]
  /** Values of the `input` leaves by name. */
  readonly inputs?: Numbers
  /** Values of the `state` leaves by key. */
  readonly states?: Numbers
}

/**
 * The values of the roots, row-major, in float64.
 *
 * float32 nodes are computed in 64 bits; int32 results wrap as 32-bit integers do; a bool is 0 or 1. A composite is its
 * body. Of a `state` the feed is taken, never `init`. An index that inputs and literals determine must lie in range, any
 * other is brought to the nearest one.
 *
 * @example
 * const x = input('x', [axis('row', 2)])
 * evaluate([add(x, 1)], { inputs: { x: [1, 2] } }) // [new Float64Array([2, 3])]
 *
 * @throws GraphError `BadArgument` where a leaf has no feed or an index is out of range, `BadShape` where a feed has
 *   another length than its leaf
 * @category evaluation
 */
export const evaluate = (roots: readonly Tensor[], feeds: Feeds = {}): Float64Array[] => {
  onlySettings('evaluate', feeds, ['arguments', 'inputs', 'states'])
  const bounded = clampIndices(roots)
  return valuesOf(bounded, evaluationOrder(bounded), feeds)
}

const evaluationOrder = (roots: readonly Tensor[]): readonly Tensor[] =>
  topological(roots, (t) =>
    t.op.op !== 'composite' ? t.inputs : takesTarget(t) ? [t.inputs[0]!, t.inputs[2]!] : t.inputs.slice(0, 1),
  )

const valuesOf = (roots: readonly Tensor[], order: readonly Tensor[], feeds: Feeds): Float64Array[] => {
  const values = new Map<Tensor, Float64Array>()
  for (const t of order)
    values.set(
      t,
      nodeValue(
        t,
        t.inputs.map((x) => values.get(x)!),
        feeds,
      ),
    )
  return roots.map((r) => values.get(r)!)
}

/**
 * One node's value from its inputs' values. The inputs' arrays may come back, so they must not be written to.
 *
 * @category evaluation
 */
export const nodeValue = (t: Tensor, xs: readonly Float64Array[], feeds: Feeds = {}): Float64Array => {
  const v = (rows[t.op.op] as (t: Tensor, xs: readonly Float64Array[], op: Op, f: Feeds) => Float64Array)(
    t,
    xs,
    t.op,
    feeds,
  )
  if (t.dtype === 'int32' && t.op.op !== 'input' && t.op.op !== 'state')
    for (let i = 0; i < v.length; i++) if ((v[i]! | 0) !== v[i]) return v.map((x) => x | 0)
  return v
}

/**
 * For each element under `axes`, the offset of the element of an operand that has some of these axes (in any order);
 * axes that the operand lacks do not move it.
 */
export const offsets = (axes: readonly Axis[], operand: readonly Axis[]): Int32Array => {
  const stride = new Map<string, number>()
  let step = 1
  for (let i = operand.length - 1; i >= 0; i--) {
    stride.set(operand[i]!.name, step)
    step *= operand[i]!.size
  }
  let out = Int32Array.of(0)
  for (const a of axes) {
    const s = stride.get(a.name) ?? 0
    const wider = new Int32Array(out.length * a.size)
    for (let j = 0, k = 0; j < out.length; j++) for (let i = 0; i < a.size; i++) wider[k++] = out[j]! + i * s
    out = wider
  }
  return out
}

const unaryFns = {
  neg: (x: number) => -x,
  exp: Math.exp,
  log: Math.log,
  sqrt: Math.sqrt,
  rsqrt: (x: number) => 1 / Math.sqrt(x),
  tanh: Math.tanh,
  erf: erf64,
  sigmoid: (x: number) => 1 / (1 + Math.exp(-x)),
  sin: Math.sin,
  cos: Math.cos,
  abs: Math.abs,
  floor: Math.floor,
  not: (x: number) => (x === 0 ? 1 : 0),
}

const binaryFns: Readonly<Record<BinaryFn, (a: number, b: number) => number>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  max: Math.max,
  min: Math.min,
  pow: (a, b) => a ** b,
}

const compareFns: Readonly<Record<CompareFn, (a: number, b: number) => boolean>> = {
  equal: (a, b) => a === b,
  less: (a, b) => a < b,
  lessEqual: (a, b) => a <= b,
}

type Row<K extends Op['op']> = (
  t: Tensor,
  xs: readonly Float64Array[],
  op: Extract<Op, { op: K }>,
  feeds: Feeds,
) => Float64Array

const given = (feeds: Numbers | undefined, name: string): ArrayLike<number> | undefined =>
  feeds === undefined
    ? undefined
    : feeds instanceof Map
      ? feeds.get(name)
      : Object.hasOwn(feeds, name)
        ? (feeds as Readonly<Record<string, ArrayLike<number>>>)[name]
        : undefined

const fed = (t: Tensor, what: string, name: string, feeds: Numbers | undefined): Float64Array => {
  const found = given(feeds, name)
  if (found === undefined)
    throw new GraphError(
      'BadArgument',
      `evaluate: ${what} '${name}' (${showAxes(t.axes)}) has no value; add it to the ${what}s that are fed`,
      t.site,
      t.axes,
    )
  if (found.length !== elements(t.axes))
    throw new GraphError(
      'BadShape',
      `evaluate: ${what} '${name}' was fed ${found.length} numbers, ${showAxes(t.axes)} needs ${elements(t.axes)}`,
      t.site,
      t.axes,
    )
  return new Float64Array(found)
}

/** The operand's value laid out under `axes`: transposed, repeated. */
const under = (axes: readonly Axis[], x: Tensor, v: Float64Array): Float64Array => {
  const places = offsets(axes, x.axes)
  const out = new Float64Array(places.length)
  for (let i = 0; i < out.length; i++) out[i] = v[places[i]!]!
  return out
}

const pairwise = (
  t: Tensor,
  xs: readonly Float64Array[],
  f: (a: number, b: number) => number,
): Float64Array => {
  const [a, b] = xs as readonly [Float64Array, Float64Array]
  const ia = offsets(t.axes, t.inputs[0]!.axes)
  const ib = offsets(t.axes, t.inputs[1]!.axes)
  const out = new Float64Array(ia.length)
  for (let i = 0; i < out.length; i++) out[i] = f(a[ia[i]!]!, b[ib[i]!]!)
  return out
}

/** Offsets of lines along `over`: where each starts, and the places in it. */
const linesOf = (
  x: Tensor,
  over: readonly string[],
): { readonly starts: Int32Array; readonly places: Int32Array } => ({
  starts: offsets(
    x.axes.filter((a) => !over.includes(a.name)),
    x.axes,
  ),
  places: offsets(
    x.axes.filter((a) => over.includes(a.name)),
    x.axes,
  ),
})

const softmaxOf = (
  t: Tensor,
  x: Float64Array,
  over: string,
  finish: (z: number, sum: number) => number,
): Float64Array => {
  const out = new Float64Array(x.length)
  const { starts, places } = linesOf(t, [over])
  for (const s of starts) {
    let top = Number.NEGATIVE_INFINITY
    for (const p of places) top = Math.max(top, x[s + p]!)
    let sum = 0
    for (const p of places) sum += Math.exp(x[s + p]! - top)
    for (const p of places) out[s + p] = finish(x[s + p]! - top, sum)
  }
  return out
}

const inRange = (t: Tensor, index: number, size: number): number => {
  if (!Number.isInteger(index) || index < 0 || index >= size)
    throw new GraphError(
      'BadArgument',
      `${t.op.op}: index ${index} is out of range; there are ${size} rows, so it must lie in 0…${size - 1}`,
      t.site,
      t.axes,
    )
  return index
}

/** Position, size and inner stride of one axis: a tensor seen as `outer × size × inner`. */
const around = (
  axes: readonly Axis[],
  name: string,
): { readonly outer: number; readonly size: number; readonly inner: number } => {
  const i = axes.findIndex((a) => a.name === name)
  return { outer: elements(axes.slice(0, i)), size: axes[i]!.size, inner: elements(axes.slice(i + 1)) }
}

/** Copies `count` places along an axis from `from` (starting at `at`) to `to` (starting at `toAt`). */
const copyAlong = (
  along: string,
  from: { readonly axes: readonly Axis[]; readonly v: Float64Array; readonly at: number },
  to: { readonly axes: readonly Axis[]; readonly v: Float64Array; readonly at: number },
  count: number,
): void => {
  const a = around(from.axes, along)
  const b = around(to.axes, along)
  for (let o = 0; o < a.outer; o++) {
    const start = (o * a.size + from.at) * a.inner
    to.v.set(from.v.subarray(start, start + count * a.inner), (o * b.size + to.at) * b.inner)
  }
}

/** What the loop of a body gave last: its results are asked for one by one. */
const lastLoop = new WeakMap<
  LoopBody,
  { readonly given: readonly Float64Array[]; readonly results: Float64Array[] }
>()

const loopResults = (body: LoopBody, times: number, given: readonly Float64Array[]): Float64Array[] => {
  const had = lastLoop.get(body)
  if (had?.given.every((v, i) => v === given[i])) return had.results
  const roots = bodyRoots(body)
  const order = evaluationOrder(roots)
  const count = body.results.length
  let carried = given.slice(0, count)
  const captured = given.slice(count)
  for (let i = 0; i < times; i++) {
    const found = valuesOf(roots, order, { arguments: [Float64Array.of(i), ...carried, ...captured] })
    carried = found.slice(0, count)
    if (body.done !== undefined && found[count]![0] !== 0) break
  }
  lastLoop.set(body, { given, results: carried })
  return carried
}

const rows: { readonly [K in Op['op']]: Row<K> } = {
  input: (t, _xs, { name }, feeds) => fed(t, 'input', name, feeds.inputs),
  state: (t, _xs, { key }, feeds) => fed(t, 'state', key, feeds.states),
  constant: (_t, _xs, { data }) => new Float64Array(data),
  iota: (t) => Float64Array.from({ length: t.axes[0]!.size }, (_, i) => i),
  unary: (_t, [x], { fn }) => x!.map(unaryFns[fn]),
  binary: (t, xs, { fn }) => pairwise(t, xs, t.dtype === 'int32' && fn === 'mul' ? Math.imul : binaryFns[fn]),
  compare: (t, xs, { fn }) => {
    const f = compareFns[fn]
    return pairwise(t, xs, (a, b) => (f(a, b) ? 1 : 0))
  },
  logic: (t, xs, { fn }) =>
    pairwise(t, xs, fn === 'and' ? (a, b) => (a && b ? 1 : 0) : (a, b) => (a || b ? 1 : 0)),
  select: (t, xs) => {
    const [c, a, b] = xs.map((v, i) => under(t.axes, t.inputs[i]!, v)) as [
      Float64Array,
      Float64Array,
      Float64Array,
    ]
    return c.map((yes, i) => (yes !== 0 ? a[i]! : b[i]!))
  },
  cast: (t, [x]) => {
    const to: Readonly<Record<Dtype, (v: number) => number>> = {
      float32: (v) => v,
      int32: Math.trunc,
      bool: (v) => (v !== 0 ? 1 : 0),
    }
    return t.dtype === 'float32' ? x! : x!.map(to[t.dtype])
  },
  stopGradient: (_t, [x]) => x!,
  reduce: (t, [x], { fn, over }) => {
    const { starts, places } = linesOf(t.inputs[0]!, over)
    return Float64Array.from(starts, (s) =>
      fn === 'sum'
        ? places.reduce((n, p) => n + x![s + p]!, 0)
        : places.reduce((n, p) => Math.max(n, x![s + p]!), Number.NEGATIVE_INFINITY),
    )
  },
  argmax: (t, [x], { over }) => {
    const { starts, places } = linesOf(t.inputs[0]!, [over])
    return Float64Array.from(starts, (s) =>
      places.reduce((best, p, i) => (x![s + p]! > x![s + places[best]!]! ? i : best), 0),
    )
  },
  softmax: (t, [x], { over }) => softmaxOf(t, x!, over, (z, sum) => Math.exp(z) / sum),
  logSoftmax: (t, [x], { over }) => softmaxOf(t, x!, over, (z, sum) => z - Math.log(sum)),
  contract: (t, xs, { over }) => {
    const [a, b] = xs as readonly [Float64Array, Float64Array]
    const [x, y] = t.inputs as readonly [Tensor, Tensor]
    const summed = x.axes.filter((n) => over.includes(n.name))
    const [ia, ib] = [offsets(t.axes, x.axes), offsets(t.axes, y.axes)]
    const [ka, kb] = [offsets(summed, x.axes), offsets(summed, y.axes)]
    return Float64Array.from(ia, (o, i) => {
      const p = ib[i]!
      let sum = 0
      for (let k = 0; k < ka.length; k++) sum += a[o + ka[k]!]! * b[p + kb[k]!]!
      return sum
    })
  },
  reshape: (_t, [x]) => x!,
  transpose: (t, [x]) => under(t.axes, t.inputs[0]!, x!),
  broadcast: (t, [x]) => under(t.axes, t.inputs[0]!, x!),
  slice: (t, [x], { along, start }) => {
    const out = new Float64Array(elements(t.axes))
    const count = around(t.axes, along).size
    copyAlong(along, { axes: t.inputs[0]!.axes, v: x!, at: start }, { axes: t.axes, v: out, at: 0 }, count)
    return out
  },
  pad: (t, [x], { along, before }) => {
    const out = new Float64Array(elements(t.axes))
    const from = t.inputs[0]!.axes
    copyAlong(
      along,
      { axes: from, v: x!, at: 0 },
      { axes: t.axes, v: out, at: before },
      around(from, along).size,
    )
    return out
  },
  concat: (t, xs, { along }) => {
    const out = new Float64Array(elements(t.axes))
    let at = 0
    xs.forEach((v, i) => {
      const from = t.inputs[i]!.axes
      const count = around(from, along).size
      copyAlong(along, { axes: from, v, at: 0 }, { axes: t.axes, v: out, at }, count)
      at += count
    })
    return out
  },
  gather: (t, xs) => {
    const [table, index] = xs as readonly [Float64Array, Float64Array]
    const [first, ...rest] = t.inputs[0]!.axes
    const width = elements(rest)
    const out = new Float64Array(elements(t.axes))
    index.forEach((r, i) => {
      const row = inRange(t, r, first!.size) * width
      out.set(table.subarray(row, row + width), i * width)
    })
    return out
  },
  scatterAdd: (t, xs) => {
    const [index, added] = xs as readonly [Float64Array, Float64Array]
    const [into, ...rest] = t.axes
    const width = elements(rest)
    const out = new Float64Array(elements(t.axes))
    index.forEach((r, i) => {
      const row = inRange(t, r, into!.size) * width
      for (let k = 0; k < width; k++) out[row + k]! += added[i * width + k]!
    })
    return out
  },
  contractChosen: (t, xs, { over }) => {
    const [rows, index, ...matrices] = xs as readonly [Float64Array, Float64Array, ...Float64Array[]]
    const [, , m] = t.inputs as readonly [Tensor, Tensor, Tensor]
    const [summed, out] = [m.axes.find((a) => a.name === over)!, t.axes.at(-1)!]
    const [k, n] = [summed.size, out.size]
    const [along, across] = [offsets([summed], m.axes), offsets([out], m.axes)]
    const y = new Float64Array(elements(t.axes))
    index.forEach((choice, r) => {
      const w = matrices[inRange(t, choice, matrices.length)]!
      for (let j = 0; j < n; j++)
        for (let i = 0; i < k; i++) y[r * n + j]! += rows[r * k + i]! * w[across[j]! + along[i]!]!
    })
    return y
  },
  outerChosen: (t, xs, { choice }) => {
    const [a, b, index] = xs as readonly [Float64Array, Float64Array, Float64Array]
    const [x, y] = [t.inputs[0]!.axes.at(-1)!, t.inputs[1]!.axes.at(-1)!]
    const [down, right] = [offsets([x], t.axes), offsets([y], t.axes)]
    const out = new Float64Array(elements(t.axes))
    index.forEach((c, r) => {
      if (c !== choice) return
      for (let i = 0; i < x.size; i++)
        for (let j = 0; j < y.size; j++) out[down[i]! + right[j]!]! += a[r * x.size + i]! * b[r * y.size + j]!
    })
    return out
  },
  argument: (_t, _xs, { at }, feeds) => feeds.arguments![at]!,
  loop: (_t, xs, { times, of, body }) => loopResults(body, times, xs)[of]!,
  composite: (t, [body, , target], { settings }) => {
    if (takesTarget(t) && target !== undefined) {
      const classes = t.inputs[1]!.axes.find((a) => a.name === settings.axis)!.size
      for (const label of target) inRange(t, label, classes)
    }
    return body!
  },
}
