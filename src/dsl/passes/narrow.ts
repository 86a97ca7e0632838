/** What repeats along an axis computed once along it: the one analysis of repetition, for every engine. */
import { type Axis, elements } from '../axis.ts'
import { bodyOf, operandsOf } from '../composite.ts'
import { arrayOf, findAxis, node, type Op, type Tensor, topological } from '../graph.ts'
import { overBodies } from '../loop.ts'

const has = (axes: readonly Axis[], a: Axis): boolean => axes.some((x) => x.name === a.name)

/** Of these axes those that one of the tensors has. */
const kept = (axes: readonly Axis[], of: readonly Tensor[]): readonly Axis[] =>
  axes.filter((a) => of.some((x) => has(x.axes, a)))

/** The node over other inputs, under fewer axes; the same node where nothing is other. */
const rebuilt = (t: Tensor, inputs: readonly Tensor[], axes: readonly Axis[], op: Op = t.op): Tensor =>
  op === t.op && axes.length === t.axes.length && inputs.every((x, i) => x === t.inputs[i])
    ? t
    : { ...t, op, inputs, axes, names: axes.map((a) => a.name) }

const literal = (t: Tensor, value: number): Tensor =>
  node({ op: 'constant', data: arrayOf[t.dtype].of(value) }, [], [], t.dtype, t.site)

/** Axes before and after a reshape, cut where both sides have counted the same elements. */
const groups = (
  from: readonly Axis[],
  to: readonly Axis[],
): readonly (readonly [before: readonly Axis[], after: readonly Axis[]])[] => {
  const out: (readonly [Axis[], Axis[]])[] = []
  for (let i = 0, j = 0; i < from.length || j < to.length; ) {
    const [before, after]: [Axis[], Axis[]] = [[], []]
    do {
      const behind = elements(before) <= elements(after)
      if (i < from.length && (behind || j >= to.length)) before.push(from[i++]!)
      else after.push(to[j++]!)
    } while (elements(before) !== elements(after))
    out.push([before, after])
  }
  return out
}

/** Composites that are a function of each element of their one operand. */
const elementwise: ReadonlySet<string> = new Set(['gelu', 'geluTanh', 'silu'])

/**
 * Computes what repeats along an axis once along it, and repeats it with a `broadcast` only for those who need all its
 * elements: roots, reshapes across the axis, sums and softmaxes along it, operands of composites. A sum over a repeated
 * axis becomes a product with its size, an argmax 0.
 *
 * Afterwards the operands of each elementwise node together have all its axes. Engines lower only such graphs: to them a
 * value has the elements that its operands bring.
 *
 * @category passes
 */
export const narrow = (roots: readonly Tensor[]): Tensor[] => {
  /** Each node without axes along which it repeats: a subsequence of its own axes. */
  const slim = new Map<Tensor, Tensor>()
  const repeated = new Map<Tensor, Map<string, Tensor>>()

  const repetition = (x: Tensor, axes: readonly Axis[], make: () => Tensor): Tensor => {
    const forms = repeated.get(x) ?? new Map<string, Tensor>()
    repeated.set(x, forms)
    const key = axes.map((a) => `${a.size} ${a.name}`).join('\u0001')
    const form = forms.get(key) ?? make()
    forms.set(key, form)
    return form
  }
  /** The narrow value of `t` with at least those of its axes that `wanted` picks. */
  const widened = (t: Tensor, wanted: (a: Axis, i: number) => boolean): Tensor => {
    const x = slim.get(t)!
    const axes = t.axes.filter((a, i) => has(x.axes, a) || wanted(a, i))
    return axes.length === x.axes.length
      ? x
      : repetition(x, axes, () => node({ op: 'broadcast' }, [x], axes, t.dtype, t.site))
  }
  const whole = (t: Tensor): Tensor => widened(t, () => true)

  const reduce = (t: Tensor, op: Extract<Op, { op: 'reduce' }>): Tensor => {
    const x = slim.get(t.inputs[0]!)!
    const over = op.over.filter((n) => findAxis(x, n) !== undefined)
    const times = elements(t.inputs[0]!.axes.filter((a) => op.over.includes(a.name) && !has(x.axes, a)))
    const axes = kept(t.axes, [x])
    const once =
      over.length === 0 ? x : rebuilt(t, [x], axes, over.length === op.over.length ? op : { ...op, over })
    return op.fn === 'max' || times === 1
      ? once
      : rebuilt(t, [once, literal(t, times)], axes, { op: 'binary', fn: 'mul' })
  }

  const reshape = (t: Tensor): Tensor => {
    const from = t.inputs[0]!
    const x = slim.get(from)!
    // a group of axes that repeats in all its axes repeats under its new ones
    const stays = groups(from.axes, t.axes).filter(
      ([before]) => before.length === 0 || before.some((a) => has(x.axes, a)),
    )
    const y = widened(from, (a) => stays.some(([before]) => before.includes(a)))
    return rebuilt(
      t,
      [y],
      stays.flatMap(([, after]) => after),
    )
  }

  const gather = (t: Tensor): Tensor => {
    const [table, index] = t.inputs as readonly [Tensor, Tensor]
    const rows = widened(table, (_, i) => i === 0)
    const places = slim.get(index)!
    const axes = t.axes.filter((a, i) => has(i < index.axes.length ? places.axes : rows.axes, a))
    return rebuilt(t, [rows, places], axes)
  }

  const scatterAdd = (t: Tensor): Tensor => {
    const [index, rows] = t.inputs as readonly [Tensor, Tensor]
    const added = widened(rows, (_, i) => i < index.axes.length)
    const axes = t.axes.filter((a, i) => i === 0 || has(added.axes, a))
    return rebuilt(t, [whole(index), added], axes)
  }

  const composite = (t: Tensor, kind: string): Tensor => {
    const body = slim.get(bodyOf(t))!
    const operands = operandsOf(t)
    if (body.axes.length === t.axes.length) return rebuilt(t, [body, ...operands.map(whole)], t.axes)
    const x = slim.get(operands[0]!)!
    return elementwise.has(kind) && operands.length === 1 && x.axes.length === body.axes.length
      ? rebuilt(t, [body, x], body.axes)
      : body
  }

  const narrowed = (t: Tensor): Tensor => {
    const { op } = t
    const xs = t.inputs.map((x) => slim.get(x)!)
    const x = xs[0]!
    switch (op.op) {
      case 'input':
      case 'state':
      case 'constant':
      case 'iota':
      case 'argument':
        return t
      case 'unary':
      case 'binary':
      case 'compare':
      case 'logic':
      case 'select':
      case 'cast':
      case 'stopGradient':
        return rebuilt(t, xs, kept(t.axes, xs))
      case 'broadcast':
        // a broadcast that was there stays the one that repeats this value
        if (x === t.inputs[0] && x.axes.length < t.axes.length) repetition(x, t.axes, () => t)
        return x
      case 'transpose': {
        const axes = kept(t.axes, [x])
        return axes.every((a, i) => a.name === x.axes[i]!.name) ? x : rebuilt(t, [x], axes)
      }
      case 'reshape':
        return reshape(t)
      case 'reduce':
        return reduce(t, op)
      case 'argmax':
        return findAxis(x, op.over) === undefined ? literal(t, 0) : rebuilt(t, [x], kept(t.axes, [x]))
      case 'softmax':
      case 'logSoftmax': {
        const y = widened(t.inputs[0]!, (a) => a.name === op.over)
        return rebuilt(t, [y], kept(t.axes, [y]))
      }
      case 'contract': {
        const ys = t.inputs.map((y) => widened(y, (a) => op.over.includes(a.name)))
        return rebuilt(t, ys, kept(t.axes, ys))
      }
      case 'slice':
        return findAxis(x, op.along) === undefined ? x : rebuilt(t, [x], kept(t.axes, [x]))
      case 'pad': {
        const y = widened(t.inputs[0]!, (a) => a.name === op.along)
        return rebuilt(t, [y], kept(t.axes, [y]))
      }
      case 'concat': {
        const ys = t.inputs.map((y) =>
          widened(y, (a) => a.name === op.along || xs.some((z) => has(z.axes, a))),
        )
        return rebuilt(t, ys, kept(t.axes, ys))
      }
      case 'gather':
        return gather(t)
      case 'scatterAdd':
        return scatterAdd(t)
      case 'contractChosen':
      case 'outerChosen':
        return rebuilt(t, t.inputs.map(whole), t.axes)
      case 'loop':
        return rebuilt(t, t.inputs.map(whole), t.axes)
      case 'composite':
        return composite(t, op.kind)
    }
  }

  for (const t of topological(roots)) slim.set(t, narrowed(t))
  return [...overBodies(roots.map(whole), narrow)]
}
