/**
 * In which type numbers are computed and kept. The state is float32 in every one of them.
 *
 * - `float32`: products of float32 as they are.
 * - `tf32`: products on the tensor cores of a GPU, which take 10 bits of each mantissa; float32 elsewhere.
 * - `bfloat16`: products and attention take bfloat16 and add up in float32; what a product with a weight gives is kept as
 *   bfloat16. Norms, softmax, loss, gradients of weights and the optimizer are float32.
 */
import type { Tensor } from '../../dsl/index.ts'
import type { Precision } from '../session.ts'
import type { Element } from './builder.ts'

/** Places of a loop's arguments that stand for weights. */
type Weights = ReadonlySet<number>
const none: Weights = new Set()

/** Whether a value is a weight, however it lies: its numbers are rounded where they are multiplied. */
export const isWeight = (t: Tensor, weights: Weights = none): boolean => {
  switch (t.op.op) {
    case 'argument':
      return weights.has(t.op.at)
    case 'state':
      return true
    case 'reshape':
    case 'transpose':
    case 'slice':
    case 'stopGradient':
      return isWeight(t.inputs[0]!, weights)
    case 'concat':
      return t.inputs.every((x) => isWeight(x, weights))
    default:
      return false
  }
}

/** In which type each node's value is kept. */
export const keeping =
  (precision: Precision, weights: Weights = none) =>
  (t: Tensor): Element =>
    precision === 'bfloat16' && t.op.op === 'contract' && t.inputs.some((x) => isWeight(x, weights))
      ? 'bfloat16'
      : t.dtype
