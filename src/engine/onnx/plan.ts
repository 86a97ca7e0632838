/**
 * How each node is computed: from which other nodes, and by which ONNX operations. The table of {@link operators} is the
 * rule; here are the exceptions that save work.
 */
import {
  behind,
  bodyOf,
  isWithin,
  type Op,
  operandsOf,
  sizes,
  type Tensor,
  topological,
  withInputs,
} from '../../dsl/index.ts'
import { insideOf } from '../../dsl/internal.ts'
import type { Tabled } from '../lowering.ts'
import { notLarger } from '../ordered-mask.ts'
import { onnxType } from '../proto/onnx.ts'
import { sideBySide } from '../side-by-side.ts'
import { placeOf } from '../state-writes.ts'
import { lateSlice, natives, type Part } from './composites.ts'
import type { Emitter, Mode } from './emitter.ts'
import { operators, product, type ValueOf } from './operators.ts'

/** A node's way of being computed. */
export interface Plan {
  readonly uses: readonly Tensor[]
  /** Emits what computes the node, and answers its value's name. */
  readonly emit: (e: Emitter, value: ValueOf) => string
}

/** By the table, over these inputs. */
const byTable = (t: Tensor, inputs: readonly Tensor[] = t.inputs): Plan => {
  const row = operators[t.op.op as Tabled] as (t: Tensor, op: Op, e: Emitter, value: ValueOf) => string
  const over = withInputs(t, inputs)
  return { uses: inputs, emit: (e, value) => row(over, t.op, e, value) }
}

const alias = (of: Tensor): Plan => ({ uses: [of], emit: (_e, value) => value(of) })

/** A sum of pieces that lie side by side: the pieces joined. */
const joined = (t: Tensor): Plan | undefined => {
  const found = sideBySide(t)
  if (found === undefined) return undefined
  const axis = t.names.indexOf(found.along)
  return { uses: found.pieces, emit: (e, value) => e.node('Concat', found.pieces.map(value), { axis }) }
}

/** A number that a tensor is multiplied with, and the tensor. */
interface Scaled {
  readonly of: Tensor
  readonly factor: number
}

/** Whether a product may be multiplied in place of its operand: a sum of numbers that were not scaled must stay finite. */
const moderate = (factor: number): boolean => Math.abs(factor) >= 2 ** -10 && Math.abs(factor) <= 2 ** 10

/** The tensor and the literal that a product of both is made of. */
const scaled = (t: Tensor): Scaled | undefined => {
  if (t.op.op !== 'binary' || t.op.fn !== 'mul') return undefined
  for (const [of, by] of [t.inputs, [...t.inputs].reverse()] as (readonly [Tensor, Tensor])[])
    if (by.op.op === 'constant' && by.axes.length === 0 && of.names.join() === t.names.join())
      return moderate(by.op.data[0]!) ? { of, factor: by.op.data[0]! } : undefined
  return undefined
}

/**
 * An operand of a product, which brings it into its own order and may multiply with a number: what transposes and literal
 * factors are over.
 */
const bare = (t: Tensor, factors: boolean): Scaled => {
  if (t.op.op === 'transpose') return bare(t.inputs[0]!, factors)
  const s = factors ? scaled(t) : undefined
  if (s === undefined) return { of: t, factor: 1 }
  const { of, factor } = bare(s.of, factors)
  return { of, factor: factor * s.factor }
}

const productPlan = (t: Tensor, mode: Mode, factor = 1): Plan => {
  const sides = t.inputs.map((x) => bare(x, mode === 'run'))
  const over = withInputs(
    t,
    sides.map((s) => s.of),
  )
  const all = sides.reduce((f, s) => f * s.factor, factor)
  return { uses: over.inputs, emit: (e, value) => product(over, e, value, all) }
}

/** A product times a literal, where nobody needs the product itself: it multiplies. */
const timesNumber = (t: Tensor, mode: Mode, once: (t: Tensor) => boolean): Plan | undefined => {
  const s = mode === 'run' ? scaled(t) : undefined
  return s?.of.op.op === 'contract' && once(s.of) ? productPlan(s.of, mode, s.factor) : undefined
}

/** A sum of squares, which nobody needs apart, in one pass over what is squared. */
const squares = (t: Tensor, over: readonly string[], once: (t: Tensor) => boolean): Plan | undefined => {
  const summed = t.inputs[0]!
  let x = summed
  while (x.op.op === 'reshape' && once(x)) x = x.inputs[0]!
  const [a, b] = x.op.op === 'binary' && x.op.fn === 'mul' && once(x) ? x.inputs : []
  if (a === undefined || a !== b || a.dtype !== 'float32' || a.axes.length !== x.axes.length) return undefined
  const places = over.map((n) => summed.names.indexOf(n)).sort((p, q) => p - q)
  return {
    uses: [a],
    emit: (e, value) =>
      e.node('ReduceSumSquare', [e.reshape(value(a), sizes(a.axes), sizes(summed.axes)), e.ints(places)], {
        keepdims: 0,
      }),
  }
}

/** A sum along an axis of which all but one place a row became 0: what stands at that place, where it cannot lie outside. */
const picked = (t: Tensor, over: readonly string[]): Plan | undefined => {
  const [choice] = t.inputs as readonly [Tensor]
  if (over.length !== 1 || choice.op.op !== 'select' || t.dtype !== 'float32') return undefined
  const [where, x, none] = choice.inputs as readonly [Tensor, Tensor, Tensor]
  const found = placeOf(where)
  const { op } = behind(none, 'broadcast')
  if (
    found === undefined ||
    found.slot.name !== over[0] ||
    op.op !== 'constant' ||
    op.data.some((n) => n !== 0)
  )
    return undefined
  const { place, slot } = found
  const lead = place.axes.length
  const fits =
    x.names.join() === choice.names.join() &&
    x.names.join() === [...place.names, slot.name, ...x.names.slice(lead + 1)].join() &&
    x.axes.length === choice.axes.length &&
    isWithin(place, slot.size)
  if (!fits) return undefined
  const one = [...sizes(place.axes), 1]
  return {
    uses: [x, place],
    emit: (e, value) => {
      const at = e.reshape(e.node('Cast', [value(place)], { to: onnxType.int64 }), sizes(place.axes), one)
      return e.node('GatherND', [value(x), at], { batch_dims: lead })
    },
  }
}

/** A triangle of more numbers is none of the model's constants: it would stay in memory. */
const largest = 2 ** 22

/**
 * A choice between scores and −∞ by a triangle that is known: what is hidden is set to 0, and −∞ added. The runtime's own
 * choice takes three passes on one thread.
 */
const triangular = (t: Tensor): Plan | undefined => {
  const [mask, x, none] = t.inputs as readonly [Tensor, Tensor, Tensor]
  const { op } = behind(none, 'broadcast')
  if (op.op !== 'constant' || op.data.length !== 1 || op.data[0] !== Number.NEGATIVE_INFINITY)
    return undefined
  const places = notLarger(mask)
  const [row, column] = t.names.slice(-2)
  if (places === undefined || !places.includes(row!) || !places.includes(column!)) return undefined
  if (x.names.join() !== t.names.join()) return undefined
  const lower = places[0] === column
  const n = t.axes.at(-1)!.size
  if (n * n > largest) return undefined
  const hidden = Float32Array.from({ length: n * n }, (_, i) => {
    const [r, c] = [Math.floor(i / n), i % n]
    return (lower ? c <= r : r <= c) ? 0 : Number.NEGATIVE_INFINITY
  })
  return {
    uses: [x],
    emit: (e, value) =>
      e.node('Add', [
        e.node('Trilu', [value(x)], { upper: lower ? 0 : 1 }),
        e.constant('float32', [n, n], hidden),
      ]),
  }
}

const native = (t: Tensor): Plan | undefined => {
  if (t.op.op !== 'composite') return undefined
  const { emit, uses = operandsOf } = natives[t.op.kind]!
  const { settings } = t.op
  return { uses: uses(t), emit: (e, value) => emit(t, settings, e, value) }
}

const planOf = (
  t: Tensor,
  mode: Mode,
  isNative: (t: Tensor) => boolean,
  parts: ReadonlyMap<Tensor, Given>,
  once: (t: Tensor) => boolean,
): Plan => {
  const given = parts.get(t)
  if (given !== undefined) return { uses: operandsOf(given.by), emit: given.emit }
  switch (t.op.op) {
    case 'input':
    case 'state':
    case 'argument':
      return { uses: [], emit: (_e, value) => value(t) }
    case 'loop':
      return { uses: t.inputs, emit: (_e, value) => value(t) }
    case 'composite':
      return (isNative(t) ? native(t) : undefined) ?? alias(bodyOf(t))
    case 'stopGradient':
      return alias(t.inputs[0]!)
    case 'binary':
      return (t.op.fn === 'add' ? joined(t) : timesNumber(t, mode, once)) ?? byTable(t)
    case 'contract':
      return productPlan(t, mode)
    case 'select':
      return (mode === 'run' ? triangular(t) : undefined) ?? byTable(t)
    case 'reduce':
      return (
        (t.op.fn === 'sum' && mode !== 'webgpu'
          ? (squares(t, t.op.over, once) ?? picked(t, t.op.over))
          : undefined) ?? byTable(t)
      )
    case 'slice': {
      const { op } = t
      const x = t.inputs[0]!
      if (x.op.op !== 'composite' || x.op.kind !== 'after' || !isNative(x)) return byTable(t)
      return { uses: operandsOf(x), emit: (e, value) => lateSlice(t, op, e, value) }
    }
    default:
      return byTable(t)
  }
}

/** A part, and the composite that gives it. */
interface Given extends Part {
  readonly by: Tensor
}

/**
 * Plans every node that the roots need.
 *
 * A composite runs natively where it fits, unless something else needs the inside of its definition (a gradient that was
 * taken through it): then the definition is computed anyway, and the operation would be work done twice.
 *
 * @param special how nodes are computed that have a way of their own in this graph
 */
export const planner = (
  roots: readonly Tensor[],
  mode: Mode,
  special: (t: Tensor) => Plan | undefined = () => undefined,
): ((t: Tensor) => Plan) => {
  const uses = new Map<Tensor, number>()
  for (const t of [...topological(roots).flatMap((t) => t.inputs), ...roots])
    uses.set(t, (uses.get(t) ?? 0) + 1)
  const once = (t: Tensor): boolean => uses.get(t) === 1
  const set = new Set<Tensor>()
  const parts = new Map<Tensor, Given>()
  for (const t of topological(roots)) {
    const kind = t.op.op === 'composite' ? natives[t.op.kind] : undefined
    if (t.op.op !== 'composite' || !kind?.fits(t, t.op.settings, mode)) continue
    set.add(t)
    for (const p of kind.parts?.(t) ?? []) parts.set(p.node, { ...p, by: t })
  }
  const hasParts = (t: Tensor): boolean => t.op.op === 'composite' && natives[t.op.kind]?.parts !== undefined
  for (;;) {
    const plans = new Map<Tensor, Plan>()
    const plan = (t: Tensor): Plan => {
      const had = plans.get(t)
      if (had !== undefined) return had
      const made = special(t) ?? planOf(t, mode, (x) => set.has(x), parts, once)
      plans.set(t, made)
      return made
    }
    const used = new Set(topological(roots, (t) => plan(t).uses))
    const isComputed = (x: Tensor): boolean => x.inputs.length > 0 && used.has(x)
    const twice = [...set].filter((t) => used.has(t) && !hasParts(t) && insideOf(t).some(isComputed))
    if (twice.length === 0) return plan
    for (const t of twice) set.delete(t)
  }
}
