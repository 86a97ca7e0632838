/** Constants computed once, and operations that change nothing taken away. */
import { type Axis, elements, sameAxes } from '../axis.ts'
import { nodeValue } from '../evaluate.ts'
import {
  arrayOf,
  type BinaryFn,
  findAxis,
  node,
  type Op,
  type OpName,
  rewrite,
  type Tensor,
} from '../graph.ts'

/** A folded literal has at most this many elements where it is larger than the literals that it comes from … */
const small = 1024
/** … and at most this many in any case. */
const large = 65536

const x0 = (t: Tensor): Tensor => t.inputs[0]!

const literal = (t: Tensor, v: Float64Array): Tensor =>
  instead(t, { op: 'constant', data: arrayOf[t.dtype].from(v) }, [])

const values = new WeakMap<Tensor, Float64Array>()

/** The numbers of a literal (a constant, or a short iota). */
const known = (t: Tensor): Float64Array | undefined => {
  if (t.op.op !== 'constant' && t.op.op !== 'iota') return undefined
  if (elements(t.axes) > large) return undefined
  const had = values.get(t)
  if (had !== undefined) return had
  const v = nodeValue(t, [])
  values.set(t, v)
  return v
}

/** The one number that all elements of a literal are. */
const uniform = (t: Tensor): number | undefined => {
  if (t.op.op === 'broadcast') return uniform(x0(t))
  if (t.op.op !== 'constant') return undefined
  const { data } = t.op
  const first = data[0]!
  return data.every((x) => x === first) ? first : undefined
}

/** `x` under the axes of `t`. */
const spread = (t: Tensor, x: Tensor): Tensor =>
  sameAxes(x.axes, t.axes) ? x : node({ op: 'broadcast' }, [x], t.axes, t.dtype, t.site)

/** The node `t` with another operation and inputs. */
const instead = (t: Tensor, op: Op, inputs: readonly Tensor[]): Tensor => ({
  ...node(op, inputs, t.axes, t.dtype, t.site),
  marks: t.marks,
})

const never: ReadonlySet<OpName> = new Set([
  'input',
  'state',
  'constant',
  'iota',
  'gather',
  'scatterAdd',
  'argument',
  'loop',
  'contractChosen',
])

const computed = (t: Tensor): Tensor | undefined => {
  if (never.has(t.op.op)) return undefined
  const body = t.op.op === 'composite' ? t.inputs.slice(0, 1) : t.inputs
  const n = elements(t.axes)
  const came = body.reduce((k, x) => (x.op.op === 'constant' ? k + elements(x.axes) : k), 0)
  if (n > small && (n > came || n > large)) return undefined
  const xs = body.map(known)
  return xs.every((v) => v !== undefined) ? literal(t, nodeValue(t, xs)) : undefined
}

/** Operations with a number on the right, or on either side, that give the other operand back. */
const neutral: Readonly<Record<BinaryFn, { readonly right?: number; readonly left?: number }>> = {
  add: { right: 0, left: 0 },
  sub: { right: 0 },
  mul: { right: 1, left: 1 },
  div: { right: 1 },
  pow: { right: 1 },
  max: {},
  min: {},
}

const binary = (t: Tensor, fn: BinaryFn): Tensor => {
  const [a, b] = t.inputs as readonly [Tensor, Tensor]
  const [u, v] = [uniform(a), uniform(b)]
  if (v !== undefined && neutral[fn].right === v) return spread(t, a)
  if (u !== undefined && neutral[fn].left === u) return spread(t, b)
  const negated =
    fn === 'mul' && v === -1 ? a : (fn === 'mul' && u === -1) || (fn === 'sub' && u === 0) ? b : undefined
  if (negated !== undefined && sameAxes(negated.axes, t.axes))
    return instead(t, { op: 'unary', fn: 'neg' }, [negated])
  if (fn === 'pow' && v === 2 && sameAxes(a.axes, t.axes))
    return instead(t, { op: 'binary', fn: 'mul' }, [a, a])
  return t
}

/** The axes that are longer than 1: those whose order matters in memory. */
const long = (axes: readonly Axis[]): readonly Axis[] => axes.filter((a) => a.size > 1)

const reduce = (t: Tensor, fn: 'sum' | 'max', over: readonly string[]): Tensor => {
  const x = x0(t)
  if (over.every((n) => findAxis(x, n)!.size === 1)) return instead(t, { op: 'reshape' }, [x])
  if (x.op.op === 'reduce' && x.op.fn === fn)
    return instead(t, { op: 'reduce', fn, over: [...x.op.over, ...over] }, [x0(x)])
  return t
}

const slice = (t: Tensor, along: string, start: number): Tensor => {
  const x = x0(t)
  const size = findAxis(t, along)!.size
  if (size === findAxis(x, along)!.size) return x
  if (x.op.op === 'slice' && x.op.along === along)
    return instead(t, { op: 'slice', along, start: x.op.start + start }, [x0(x)])
  if (x.op.op === 'concat' && x.op.along === along) {
    let from = 0
    for (const part of x.inputs) {
      const length = findAxis(part, along)!.size
      if (from <= start && start + size <= from + length)
        return instead(t, { op: 'slice', along, start: start - from }, [part])
      from += length
    }
  }
  return t
}

const simpler = (t: Tensor): Tensor => {
  const folded = computed(t)
  if (folded !== undefined) return folded
  const { op } = t
  switch (op.op) {
    case 'binary':
      return binary(t, op.fn)
    case 'compare':
      return t
    case 'logic': {
      const [a, b] = t.inputs as readonly [Tensor, Tensor]
      const same = op.fn === 'and' ? 1 : 0
      return uniform(b) === same ? spread(t, a) : uniform(a) === same ? spread(t, b) : t
    }
    case 'select': {
      const [c, a, b] = t.inputs as readonly [Tensor, Tensor, Tensor]
      const u = uniform(c)
      return u === undefined ? t : spread(t, u !== 0 ? a : b)
    }
    case 'unary': {
      const x = x0(t)
      const undoes = (op.fn === 'neg' || op.fn === 'not') && x.op.op === 'unary' && x.op.fn === op.fn
      return undoes ? x0(x) : t
    }
    case 'cast':
      return x0(t).dtype === t.dtype ? x0(t) : t
    case 'transpose': {
      const x = x0(t)
      if (sameAxes(x.axes, t.axes)) return x
      if (x.op.op === 'transpose') return instead(t, op, [x0(x)])
      return sameAxes(long(x.axes), long(t.axes)) ? instead(t, { op: 'reshape' }, [x]) : t
    }
    case 'reshape': {
      const x = x0(t)
      if (sameAxes(x.axes, t.axes)) return x
      return x.op.op === 'reshape' ? instead(t, op, [x0(x)]) : t
    }
    case 'broadcast': {
      const x = x0(t)
      if (sameAxes(x.axes, t.axes)) return x
      return x.op.op === 'broadcast' ? instead(t, op, [x0(x)]) : t
    }
    case 'reduce':
      return reduce(t, op.fn, op.over)
    case 'slice':
      return slice(t, op.along, op.start)
    case 'pad':
      return op.before === 0 && op.after === 0 ? x0(t) : t
    case 'concat':
      return t.inputs.length === 1 ? x0(t) : t
    default:
      return t
  }
}

/**
 * Computes what depends on small literals only, and takes away what changes nothing: x + 0, x · 1, x ÷ 1, x¹, ¬¬x, a
 * transpose of a transpose, a reshape of a reshape, a broadcast of a broadcast, casts to the same dtype, whole slices, empty
 * pads, choices with a known condition, reductions over axes of size 1.
 *
 * Literals are computed in 64 bits and then rounded to float32. A node that gives way to one of its inputs takes its marks
 * with it.
 *
 * @category passes
 */
export const foldConstants = (roots: readonly Tensor[]): Tensor[] =>
  rewrite(roots, (t) => {
    let now = t
    for (;;) {
      const next = simpler(now)
      if (next === now) return now
      now = next
    }
  })
