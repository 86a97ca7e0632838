/** The gradient: one reverse walk over the table of adjoints. */
import { adjoints, type Flow } from './adjoints.ts'
import { showAxes } from './axis.ts'
import { composite } from './composite.ts'
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

/** The nodes of a composite's definition that only it has. */
const insideOf = (y: Tensor): readonly Tensor[] => {
  const ends = new Set(y.inputs.slice(1))
  return topological([y.inputs[0]!], (t) => (ends.has(t) ? [] : t.inputs)).filter((t) => !ends.has(t))
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
  const depends = new Set(operands.filter((t) => t.dtype === 'float32'))
  for (const t of order)
    if (t.dtype === 'float32' && t.op.op !== 'stopGradient' && !ends.has(t))
      if (t.inputs.some((x) => depends.has(x))) depends.add(t)
  const masking = maskingOf(order)
  const flowing = new Map<Tensor, Tensor>([[body, g]])
  for (let i = order.length - 1; i >= 0; i--) {
    const y = order[i]!
    const flow = flowing.get(y)
    if (flow === undefined || ends.has(y) || !depends.has(y)) continue
    const flows: readonly Flow[] =
      y === masking
        ? [undefined, () => transposed(flow, y.inputs[1]!.names, y.site)]
        : flowsOf(y, flow, y.site)
    flows.forEach((part, k) => {
      const x = y.inputs[k]!
      if (part === undefined || !depends.has(x)) return
      const [sofar, more] = [flowing.get(x), part()]
      flowing.set(
        x,
        sofar === undefined ? more : binaryOf('add', sofar, reshaped(more, sofar.axes, y.site), y.site),
      )
    })
  }
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
  const depends = new Set<Tensor>()
  for (const t of order)
    if (
      t.dtype === 'float32' &&
      (wanted.has(identity(t)) || (t.op.op !== 'stopGradient' && t.inputs.some((x) => depends.has(x))))
    )
      depends.add(t)

  const has = (t: Tensor): boolean => depends.has(t)
  const flowing = new Map<Tensor | string, Tensor>([[identity(loss), scalarOf(1, 'float32', site)]])
  for (let i = order.length - 1; i >= 0; i--) {
    const y = order[i]!
    const g = flowing.get(identity(y))
    if (g === undefined || !depends.has(y)) continue
    const isAttention = y.op.op === 'composite' && y.op.kind === 'attention'
    const flows = isAttention
      ? attentionFlows(y, g, wanted)
      : (shorterFlows(y, g, has, wanted) ?? flowsOf(y, g, y.site))
    flows.forEach((flow, k) => {
      const x = y.inputs[k]!
      if (flow === undefined || !depends.has(x)) return
      const part = flow()
      const id = identity(x)
      const sofar = flowing.get(id)
      flowing.set(
        id,
        sofar === undefined ? part : binaryOf('add', sofar, reshaped(part, sofar.axes, y.site), y.site),
      )
    })
  }
  return wrt.map((t) => {
    const g = depends.has(loss) ? flowing.get(identity(t)) : undefined
    return g === undefined
      ? broadcasted(scalarOf(0, 'float32', t.site), t.axes, t.site)
      : reshaped(g, t.axes, t.site)
  })
}
