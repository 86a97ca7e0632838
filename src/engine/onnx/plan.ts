/**
 * How each node is computed: from which other nodes, and by which ONNX operations. The table of {@link operators} is the
 * rule; here are the exceptions that save work.
 */
import {
  bodyOf,
  findAxis,
  type Op,
  operandsOf,
  type Tensor,
  topological,
  withInputs,
} from '../../dsl/index.ts'
import { insideOf, lateSlice, natives, type Part } from './composites.ts'
import type { Emitter, Mode } from './emitter.ts'
import { operators, type Tabled, type ValueOf } from './operators.ts'

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

/** The pads along one axis that a tree of sums consists of, at most `most`; undefined where it has another term. */
const pads = (t: Tensor, along: string, most: number): readonly Tensor[] | undefined => {
  const found: Tensor[] = []
  const left = [t]
  for (let x = left.pop(); x !== undefined; x = left.pop())
    if (x.op.op === 'binary' && x.op.fn === 'add') left.push(...[...x.inputs].reverse())
    else if (x.op.op === 'pad' && x.op.along === along && x.axes.length === t.axes.length) {
      found.push(x)
      if (found.length > most) return undefined
    } else return undefined
  return found
}

const isSum = (t: Tensor): boolean => t.op.op === 'binary' && t.op.fn === 'add'

/** The first term of a tree of sums. */
const firstTerm = (t: Tensor): Tensor => {
  let first = t
  while (isSum(first)) first = first.inputs[0]!
  return first
}

/** A sum of padded pieces that lie side by side, as the gradient of slices is: the pieces joined. */
const sideBySide = (t: Tensor): Plan | undefined => {
  // a long chain of other sums is not walked down from each of its links
  if (!t.inputs.every((x) => isSum(x) || x.op.op === 'pad')) return undefined
  const first = firstTerm(t).op
  if (first.op !== 'pad') return undefined
  const whole = findAxis(t, first.along)!.size
  const pieces = (pads(t, first.along, whole) ?? [])
    .map((x) => ({ start: x.op.op === 'pad' ? x.op.before : 0, of: x.inputs[0]! }))
    .sort((a, b) => a.start - b.start)
  let end = 0
  for (const p of pieces) {
    if (p.start !== end) return undefined
    end += findAxis(p.of, first.along)!.size
  }
  if (end !== whole) return undefined
  const uses = pieces.map((p) => p.of)
  const axis = t.names.indexOf(first.along)
  return { uses, emit: (e, value) => e.node('Concat', uses.map(value), { axis }) }
}

/** A product sees through transposes: it brings its operands into its own order. */
const untransposed = (t: Tensor): Tensor => (t.op.op === 'transpose' ? t.inputs[0]! : t)

const native = (t: Tensor): Plan | undefined => {
  if (t.op.op !== 'composite') return undefined
  const { emit } = natives[t.op.kind]!
  const { settings } = t.op
  return { uses: operandsOf(t), emit: (e, value) => emit(t, settings, e, value) }
}

const planOf = (t: Tensor, isNative: (t: Tensor) => boolean, parts: ReadonlyMap<Tensor, Given>): Plan => {
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
      return (t.op.fn === 'add' ? sideBySide(t) : undefined) ?? byTable(t)
    case 'contract':
      return byTable(t, t.inputs.map(untransposed))
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
      const made = special(t) ?? planOf(t, (x) => set.has(x), parts)
      plans.set(t, made)
      return made
    }
    const used = new Set(topological(roots, (t) => plan(t).uses))
    const twice = [...set].filter((t) => used.has(t) && !hasParts(t) && insideOf(t).some((x) => used.has(x)))
    if (twice.length === 0) return plan
    for (const t of twice) set.delete(t)
  }
}
