/** Activations: layers over no axis of their own. */
import { composite } from '../composite.ts'
import { add, erf, mul, sigmoid, tanh } from '../elementwise.ts'
import type { Tensor } from '../graph.ts'
import { builtIn, type Layer } from '../layer.ts'
import { nowhere } from '../site.ts'

type Pointwise = Layer<readonly [], readonly []>

const pointwise = (kind: 'gelu' | 'geluTanh' | 'silu', body: (x: Tensor) => Tensor): Pointwise =>
  builtIn<readonly [], readonly []>(nowhere, kind, [], (x) => composite(kind, {}, body(x), [x]))

/** Gaussian error linear unit with the error function (Hendrycks & Gimpel 2016), as `nn.GELU()`. @category layers */
export const gelu: Pointwise = pointwise('gelu', (x) => mul(mul(x, 0.5), add(erf(mul(x, Math.SQRT1_2)), 1)))

/** GELU in its tanh approximation. @category layers */
export const geluTanh: Pointwise = pointwise('geluTanh', (x) =>
  mul(mul(x, 0.5), add(tanh(mul(add(x, mul(mul(mul(x, x), x), 0.044715)), Math.sqrt(2 / Math.PI))), 1)),
)

/** x · sigmoid(x). @category layers */
export const silu: Pointwise = pointwise('silu', (x) => mul(x, sigmoid(x)))
