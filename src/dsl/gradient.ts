/** The gradient: one reverse walk over the table of adjoints. */
import { adjoints, type Flow } from './adjoints.ts'
import { showAxes } from './axis.ts'
import { binaryOf } from './elementwise.ts'
import { GraphError } from './error.ts'
import { type Op, type Tensor, topological } from './graph.ts'
import { scalarOf } from './leaves.ts'
import { broadcasted, reshaped } from './shape.ts'
import { type Site, siteOf } from './site.ts'

/** States of one key are one thing, however often a model names them (a tied head). */
const identity = (t: Tensor): Tensor | string => (t.op.op === 'state' ? t.op.key : t)

const flowsOf = (y: Tensor, g: Tensor, site: Site): readonly Flow[] =>
  (adjoints[y.op.op] as (y: Tensor, g: Tensor, op: Op, s: Site) => readonly Flow[])(y, g, y.op, site)

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

  const flowing = new Map<Tensor | string, Tensor>([[identity(loss), scalarOf(1, 'float32', site)]])
  for (let i = order.length - 1; i >= 0; i--) {
    const y = order[i]!
    const g = flowing.get(identity(y))
    if (g === undefined || !depends.has(y)) continue
    flowsOf(y, g, y.site).forEach((flow, k) => {
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
