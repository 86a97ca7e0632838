/** The gradient: one reverse walk over the table of adjoints. */
import { adjoints, type Flow } from './adjoints.ts'
import { showAxes } from './axis.ts'
import { composite, insideOf } from './composite.ts'
import { compositeFlows } from './composite-flows.ts'
import { binaryOf } from './elementwise.ts'
import { GraphError } from './error.ts'
import { type Op, type Tensor, topological } from './graph.ts'
import { scalarOf } from './leaves.ts'
import { broadcasted, reshaped, transposed } from './shape.ts'
import { type Site, siteOf } from './site.ts'

/** States of one key are one thing, however often a model names them (a tied head). */
const identity = (t: Tensor): Tensor | string => (t.op.op === 'state' ? t.op.key : t)

const flowsOf = (y: Tensor, g: Tensor, site: Site): readonly Flow[] =>
  (adjoints[y.op.op] as (y: Tensor, g: Tensor, op: Op, s: Site) => readonly Flow[])(y, g, y.op, site)

/** The float32 nodes that `begins` says, and those that depend on one. */
const dependents = (order: readonly Tensor[], begins: (t: Tensor) => boolean): ReadonlySet<Tensor> => {
  const found = new Set<Tensor>()
  for (const t of order)
    if (
      t.dtype === 'float32' &&
      (begins(t) || (t.op.op !== 'stopGradient' && t.inputs.some((x) => found.has(x))))
    )
      found.add(t)
  return found
}

/** The reverse walk: each node hands what flows out of it on to those of its inputs that count, where it is added up. */
const walkBack = <K>(
  order: readonly Tensor[],
  counting: ReadonlySet<Tensor>,
  flowing: Map<K, Tensor>,
  keyOf: (t: Tensor) => K,
  flows: (y: Tensor, g: Tensor) => readonly Flow[],
): void => {
  for (let i = order.length - 1; i >= 0; i--) {
    const y = order[i]!
    const g = flowing.get(keyOf(y))
    if (g === undefined || !counting.has(y)) continue
    flows(y, g).forEach((flow, k) => {
      const x = y.inputs[k]!
      if (flow === undefined || !counting.has(x)) return
      const part = flow()
      const sofar = flowing.get(keyOf(x))
      const all =
        sofar === undefined ? part : binaryOf('add', sofar, reshaped(part, sofar.axes, y.site), y.site)
      flowing.set(keyOf(x), all)
    })
  }
}

/** The choice among scores whose result is an attention's softmax, where each score counts once. */
const maskingOf = (order: readonly Tensor[]): Tensor | undefined => {
  const masked = order.find((t) => t.op.op === 'softmax')?.inputs[0]
  const scores = masked?.op.op === 'select' ? masked.inputs[1]! : undefined
  return scores !== undefined && scores.axes.length === masked!.axes.length && scores.op.op !== 'broadcast'
    ? masked
    : undefined
}

/**
 * What flows from an attention's body into its operands by the definition, whatever they are made of; undefined where an
 * operand does not count. What flows out of the softmax is 0 where a key is hidden: it is not chosen among again.
 */
const pulled = (body: Tensor, g: Tensor, operands: readonly Tensor[]): readonly (Tensor | undefined)[] => {
  const ends = new Set(operands)
  const order = topological([body], (t) => (ends.has(t) ? [] : t.inputs))
  const masking = maskingOf(order)
  const flowing = new Map([[body, g]])
  const counting = dependents(order, (t) => ends.has(t))
  walkBack(
    order,
    counting,
    flowing,
    (t) => t,
    (y, flow) => {
      if (ends.has(y)) return []
      if (y !== masking) return flowsOf(y, flow, y.site)
      return [undefined, () => transposed(flow, y.inputs[1]!.names, y.site)]
    },
  )
  return operands.map((t) => flowing.get(t))
}

/**
 * The flows of an attention: a composite for queries, keys and values each, so that an engine which keeps no scores can
 * compute them from the operands. Its own definition is the gradient of attention's.
 */
const attentionFlows = (y: Tensor, g: Tensor, wanted: ReadonlySet<Tensor | string>): readonly Flow[] => {
  const [body, ...operands] = y.inputs as readonly [Tensor, ...Tensor[]]
  const [q, k, v] = operands.slice(0, 3) as [Tensor, Tensor, Tensor]
  // where two operands are one, or the definition's inside is asked for, the definition is walked
  if (new Set([q, k, v]).size < 3 || insideOf(y).some((t) => wanted.has(identity(t))))
    return flowsOf(y, g, y.site)
  let parts: readonly (Tensor | undefined)[] | undefined
  const settings = y.op.op === 'composite' ? y.op.settings : {}
  const flow = (i: number, part: string, x: Tensor) => (): Tensor => {
    parts ??= pulled(body, g, [q, k, v])
    const to = reshaped(parts[i]!, x.axes, y.site)
    return composite('attentionGradient', { ...settings, part }, to, [...operands, y, g], y.site)
  }
  return [undefined, flow(0, 'q', q), flow(1, 'k', k), flow(2, 'v', v)]
}

/** A composite's own flows, unless the inside of its definition is asked for. */
const shorterFlows = (
  y: Tensor,
  g: Tensor,
  depends: (t: Tensor) => boolean,
  wanted: ReadonlySet<Tensor | string>,
): readonly Flow[] | undefined => {
  const flows = compositeFlows(y, g, depends)
  return flows === undefined || insideOf(y).some((t) => wanted.has(identity(t))) ? undefined : flows
}

/**
 * The gradient of a scalar with respect to each of `wrt`, with the axes of each.
 *
 * Only nodes between `wrt` and the loss are walked: a frozen part costs nothing. Where the loss does not depend on a
 * tensor its gradient is zeros. States are identified by key, so a tied weight gets the sum over all its uses.
 *
 * @example
 * const x = input('x', [axis('row', 3)])
 * const slopes = gradient(total(square(x)), [x]) // Tensor[]
 * evaluate(slopes, { inputs: { x: [1, 2, 3] } }) // [new Float64Array([2, 4, 6])]
 *
 * @throws GraphError `NotDifferentiable` where the loss is not one float32 number
 * @category gradient
 */
export const gradient = (loss: Tensor, wrt: readonly Tensor[]): Tensor[] => {
  const site = siteOf(gradient)
  if (loss.axes.length > 0 || loss.dtype !== 'float32')
    throw new GraphError(
      'NotDifferentiable',
      `gradient: the loss is ${loss.dtype} with ${showAxes(loss.axes)}; reduce it to one float32 number`,
      site,
      loss.axes,
    )
  const wanted = new Set(wrt.map(identity))
  const order = topological([loss])
  const depends = dependents(order, (t) => wanted.has(identity(t)))
  const flowing = new Map<Tensor | string, Tensor>([[identity(loss), scalarOf(1, 'float32', site)]])
  walkBack(order, depends, flowing, identity, (y, g) =>
    y.op.op === 'composite' && y.op.kind === 'attention'
      ? attentionFlows(y, g, wanted)
      : (shorterFlows(y, g, (t) => depends.has(t), wanted) ?? flowsOf(y, g, y.site)),
  )
  return wrt.map((t) => {
    const g = depends.has(loss) ? flowing.get(identity(t)) : undefined
    return g === undefined
      ? broadcasted(scalarOf(0, 'float32', t.site), t.axes, t.site)
      : reshaped(g, t.axes, t.site)
  })
}
