/**
 * What flows through composites whose gradient takes fewer passes over memory than that of their definition: an activation, a
 * norm, rotary positions. Each is the same function as what the adjoints of the definition give.
 */
import type { Flow } from './adjoints.ts'
import { bodyOf, operandsOf } from './composite.ts'
import { contractOf } from './contract.ts'
import { findAxis, type Tensor } from './graph.ts'
import { halvesAgree, rotateOf } from './layers/rotary.ts'
import { notation } from './notation.ts'
import { transposed } from './shape.ts'

const isUnary = (t: Tensor | undefined, fn: string): t is Tensor => t?.op.op === 'unary' && t.op.fn === fn

const isProduct = (t: Tensor | undefined): t is Tensor => t?.op.op === 'binary' && t.op.fn === 'mul'

/** y = x s, s = σ(x): g (s + y (1 − s)). */
const silu = (y: Tensor, g: Tensor): readonly Flow[] | undefined => {
  const [x] = operandsOf(y) as readonly [Tensor]
  const body = bodyOf(y)
  const s = body.inputs[1]
  if (!isProduct(body) || body.inputs[0] !== x || !isUnary(s, 'sigmoid') || s.inputs[0] !== x)
    return undefined
  const { add, mul, sub } = notation(y.site)
  return [undefined, () => mul(g, add(s, mul(body, sub(1, s))))]
}

/** y = x r w, r = 1 / √(mean x² + ε): with p = g x, Σ r p flows into w, and r (g w) − x r³ (p · w) / n into x. */
const rmsNorm = (y: Tensor, g: Tensor): readonly Flow[] | undefined => {
  const [x, w] = operandsOf(y) as readonly [Tensor, Tensor]
  const body = bodyOf(y)
  const scaled = body.inputs[0]
  const r = scaled?.inputs[1]
  if (!isProduct(body) || body.inputs[1] !== w || !isProduct(scaled) || scaled.inputs[0] !== x)
    return undefined
  const axis = w.axes[0]!
  const rows = x.names.filter((n) => n !== axis.name)
  if (!isUnary(r, 'rsqrt') || r.names.join() !== rows.join() || rows.length === 0) return undefined
  const { mul, sub } = notation(y.site)
  const p = mul(g, x)
  return [
    undefined,
    () => {
      const along = contractOf(p, w, [axis.name], y.site, rows)
      const part = mul(mul(r, mul(r, r)), mul(along, 1 / axis.size))
      return transposed(sub(mul(mul(g, w), r), mul(x, part)), x.names, y.site)
    },
    () => contractOf(p, r, rows, y.site, w.names),
  ]
}

/** What was turned is turned back, by angles of the other sign. */
const rotary = (y: Tensor, g: Tensor, depends: (t: Tensor) => boolean): readonly Flow[] | undefined => {
  const [x, cos, sin] = operandsOf(y) as readonly [Tensor, Tensor, Tensor]
  const axis = y.op.op === 'composite' ? String(y.op.settings.axis) : ''
  if (depends(cos) || depends(sin) || cos === undefined || findAxis(cos, axis) === undefined) return undefined
  // what lacks an axis of the positions gets a sum over it
  if (y.axes.length !== x.axes.length) return undefined
  if (![cos, sin].every((t) => t.names.at(-1) === axis && halvesAgree(t))) return undefined
  const { neg } = notation(y.site)
  const back = () => rotateOf(transposed(g, x.names, y.site), cos, neg(sin), axis, y.site)
  return [undefined, back, undefined, undefined]
}

/** The flows of a composite, or undefined where its definition is walked. */
export const compositeFlows = (
  y: Tensor,
  g: Tensor,
  depends: (t: Tensor) => boolean,
): readonly Flow[] | undefined => {
  switch (y.op.op === 'composite' ? y.op.kind : undefined) {
    case 'silu':
      return silu(y, g)
    case 'rmsNorm':
      return rmsNorm(y, g)
    case 'rotary':
      return rotary(y, g, depends)
    default:
      return undefined
  }
}
