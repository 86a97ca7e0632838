/** Composites that run better than their definition; any other composite is lowered as its definition. */
import { operandsOf, type Settings, type Tensor } from '../../dsl/index.ts'
import type { Value } from './builder.ts'
import * as hlo from './hlo.ts'
import { along, exact, logSumExp, place, type Work } from './value.ts'

/** How one kind of composite runs natively. */
export interface Native {
  readonly fits: (t: Tensor, settings: Settings, w: Work) => boolean
  /** `operands` are the composite's operands, without its body. */
  readonly emit: (w: Work, t: Tensor, operands: readonly Value[]) => Value
}

/** The target has the axes of the logits but the classes', in order. */
const fitsTarget = (t: Tensor, settings: Settings): boolean => {
  const [logits, target] = operandsOf(t) as readonly [Tensor, Tensor]
  const rows = logits.names.filter((n) => n !== settings.axis)
  return (
    target.names.join('\u0001') === rows.join('\u0001') && t.names.every((n) => place(logits.axes, n) >= 0)
  )
}

/** Logits in float32, the place of the classes, and where each target stands among them, true there alone. */
const targets = (w: Work, t: Tensor, [l, y]: readonly Value[]) => {
  const { settings } = t.op as Extract<Tensor['op'], { op: 'composite' }>
  const at = place(operandsOf(t)[0]!.axes, String(settings.axis))
  const logits = exact(w, l!)
  const hit = hlo.compare(w.g, 'EQ', along(w, y!, logits, at), hlo.iota(w.g, logits.shape, at))
  return { at, logits, hit }
}

/** ln Σ exp − the target's logit: both sums in one reading of the logits, and no one-hot in memory. */
export const crossEntropy: Native = {
  fits: fitsTarget,
  emit: (w, t, operands) => {
    const { at, logits, hit } = targets(w, t, operands)
    const zero = hlo.filled(w.g, 'float32', logits.shape, 0)
    const picked = hlo.reduce(w.g, 'sum', hlo.choose(w.g, hit, logits, zero), [at])
    return hlo.pointwise(w.g, 'stablehlo.subtract', logSumExp(w, logits, at), picked)
  },
}

/** softmax − one-hot, element by element from the logits and ln Σ exp. */
export const crossEntropyGradient: Native = {
  fits: fitsTarget,
  emit: (w, t, operands) => {
    const { at, logits, hit } = targets(w, t, operands)
    const z = hlo.pointwise(w.g, 'stablehlo.subtract', logits, along(w, logSumExp(w, logits, at), logits, at))
    const p = hlo.pointwise(w.g, 'stablehlo.exponential', z)
    const one = hlo.filled(w.g, 'float32', logits.shape, 1)
    return hlo.choose(w.g, hit, hlo.pointwise(w.g, 'stablehlo.subtract', p, one), p)
  },
}
